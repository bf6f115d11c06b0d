//! A saved run beside this one: whether it says anything, and in what the two differ.

use crate::compare::conditions::{Condition, differences};
use crate::compare::run::Run;
use crate::report::measured::{Damaged, measured};
use crate::report::model::Report;
use crate::report::text::clean;

/// Both, as far as they are compared.
pub(super) struct Pair {
    before: Run,
    now: Run,
}

/// Something in which they differ, fit to print.
pub(super) struct Told {
    pub(super) condition: Condition,
    /// Its field in run.json.
    pub(super) field: String,
    pub(super) before: String,
    pub(super) now: String,
}

/// Longest value that is told.
const MAX_VALUE: usize = 120;

impl Pair {
    /// `name` is what the file of the saved run is called by.
    pub(super) fn of(before: &Report, name: &str, now: &Report) -> Result<Self, Damaged> {
        let before = measured(before, name)?;
        Ok(Self { before, now: measured(now, "this run")? })
    }

    /// Why the saved run says nothing of its target.
    pub(super) fn not_valid(&self) -> Option<&str> {
        self.before.not_valid.as_deref()
    }

    /// What is not the same, the one to be told first on top.
    pub(super) fn differences(&self) -> Vec<Told> {
        let said = |value: Option<&str>| clean(value.unwrap_or("not told"), MAX_VALUE);
        let told = |one: crate::compare::conditions::Difference<'_>| Told {
            condition: one.condition,
            field: clean(one.field, MAX_VALUE),
            before: said(one.first),
            now: said(one.other),
        };
        differences(&self.before, &self.now).into_iter().map(told).collect()
    }
}
