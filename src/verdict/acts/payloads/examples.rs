//! Evidence made up for tests.

use crate::act::payloads::{
    Big, Bystanders, Fate, Largest, PERIOD_NS, Payloads, Recorded, Rung, Sweep, What,
};

/// What is special about a sweep.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) sizes: Vec<u64>,
    pub(super) ns_per_byte: u64,
    /// A large request takes this many times as long as it blocks.
    pub(super) own_times: f64,
    pub(super) connects_wait: bool,
    pub(super) status: u16,
    pub(super) unknown: Option<String>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            sizes: vec![3_200, 12_800, 51_200, 204_800],
            ns_per_byte: 0,
            own_times: 1.0,
            connects_wait: false,
            status: 200,
            unknown: None,
        }
    }
}

/// One sweep of ten requests a size; production's largest body has 51 200 bytes.
pub(super) fn payloads(shape: &Shape) -> Payloads {
    let usual =
        Bystanders { count: 1_000, failed: 0, p50_ns: 300_000, p99_ns: 900_000, max_ns: 2_000_000 };
    Payloads {
        slo_ns: 100_000_000,
        max_bytes: 64 << 20,
        recorded: Recorded {
            bodies: 1_000,
            bytes: 2_000_000,
            p50: 1_000,
            p99: 8_000,
            max: 51_200,
            response_max: 0,
            largest: vec![Largest {
                route: "/sync".to_owned(),
                session: 42 << 32,
                max: 51_200,
                bytes: 512_000,
            }],
            beyond_bound: 0,
            problem: None,
        },
        sweeps: vec![Sweep {
            endpoint: "target".to_owned(),
            what: What::HttpRequest,
            place: "POST /sync".to_owned(),
            rungs: shape.sizes.iter().map(|bytes| rung(shape, *bytes, &usual)).collect(),
            outside: usual,
            connect_outside_ns: Some(50_000),
            attempts: Vec::new(),
            announced: None,
            boundary: None,
            ended: None,
            unknown: shape.unknown.clone(),
        }],
        interrupted: false,
    }
}

fn rung(shape: &Shape, bytes: u64, usual: &Bystanders) -> Rung {
    let block = bytes * shape.ns_per_byte;
    let request = |index: u64| {
        // The first bystander comes up to a period after the block begins.
        let waited = block.saturating_sub(PERIOD_NS * index / 10 + PERIOD_NS / 20);
        // A little more or less, without a trend.
        let noise = (index * 7 + bytes / 100) % 10 * 10_000;
        Big {
            fate: Fate::Status(shape.status),
            latency_ns: block + 500_000,
            own_ns: own(block, shape.own_times) + 500_000,
            worst_ns: Some(waited.max(300_000 + noise)),
            connect_ns: Some(if shape.connects_wait { waited } else { 50_000 }),
        }
    };
    Rung {
        bytes,
        requests: (0..10).map(request).collect(),
        inside: Bystanders { max_ns: block.max(usual.max_ns), count: 100, ..usual.clone() },
        blocked: if block > 0 { 80 } else { 0 },
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn own(block: u64, times: f64) -> u64 {
    (block as f64 * times) as u64
}
