//! How the generator's own machine was doing: evidence for whose fault lateness is.

/// Facts about this machine during a run.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Health {
    /// Logical processors.
    pub processors: u32,
    /// Share of all processor time that the hypervisor took away (`/proc/stat`, steal), 0 to 1.
    pub steal_share: Option<f64>,
    /// Share of all processor time that was in use by anybody, 0 to 1.
    pub busy_share: Option<f64>,
    /// Processor seconds used by this process.
    pub own_cpu_seconds: Option<f64>,
    /// Seconds that this process' threads waited in the run queue (`/proc/self/task/*/schedstat`).
    pub run_queue_wait_seconds: Option<f64>,
    /// Soft limit on open files after it was raised.
    pub open_files_limit: Option<u64>,
    /// Length of the run in seconds.
    pub seconds: f64,
}
