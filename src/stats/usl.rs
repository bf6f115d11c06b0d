//! The Universal Scalability Law: throughput over load, held down by what must be done one after
//! the other (α, contention) and by what everybody must agree on (β, coherency).
//!
//! ```text
//! X(N) = γN / (1 + α(N − 1) + βN(N − 1))
//! ```
//!
//! A fit is an annotation, not a measurement: it is told with its intervals, only where its
//! residuals are small and have no pattern, and never far beyond the loads that were measured. Even
//! the textbook's own set has a residual of a third at its first load.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::factorial::binomial;

use crate::stats::counts::as_f64;

/// A fitted law.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usl {
    /// Contention; at least 0.
    pub alpha: f64,
    /// Coherency; at least 0.
    pub beta: f64,
    /// Throughput of a load of 1; above 0.
    pub gamma: f64,
    /// 95 % confidence intervals of the three; `None` for one that lies on its bound.
    pub intervals: [Option<[f64; 2]>; 3],
    /// Standard error of the residuals.
    pub residual_error: f64,
    /// Largest residual as a share of what was measured.
    pub worst_residual: f64,
    /// How likely so few changes of the residuals' signs would be by chance.
    pub signs_by_chance: f64,
    /// Largest load that was measured.
    pub measured: f64,
}

/// A load and the throughput that it yields.
pub type Point = (f64, f64);

/// Why there is no fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFit {
    /// Three coefficients from fewer loads say nothing.
    #[error("fewer than {FEWEST} different loads were measured")]
    TooFew,
    /// A load or throughput is no positive number.
    #[error("a load or a throughput is no positive number")]
    NotPositive,
    /// No coefficients were found.
    #[error("no law fits what was measured")]
    NoLaw,
}

/// Fewest different loads of a fit.
pub const FEWEST: usize = 6;

/// Most points of a fit; a search for a limit measures far fewer.
pub const MOST: usize = 10_000;

/// Nothing is said beyond this many times the largest load that was measured.
pub const REACH: f64 = 1.5;

/// Residuals up to this share of what was measured are believed.
const BELIEVED: f64 = 0.10;

/// Signs of residuals that are less likely than this by chance show a pattern.
const PATTERN: f64 = 0.05;

/// Residuals below this share are rounding, and their signs say nothing.
const ROUNDING: f64 = 1e-3;

impl Usl {
    /// The throughput at a load, however far away.
    fn at(&self, load: f64) -> f64 {
        law([self.alpha, self.beta, self.gamma], load)
    }

    /// The throughput at a load; `None` where it is too far beyond what was measured.
    pub fn within_reach(&self, load: f64) -> Option<f64> {
        (load > 0.0 && load <= REACH * self.measured).then(|| self.at(load))
    }

    /// The load of the highest throughput; `None` where more load always yields more.
    pub fn peak_load(&self) -> Option<f64> {
        let peak = ((1.0 - self.alpha) / self.beta).sqrt();
        (self.beta > 0.0 && self.alpha < 1.0 && peak.is_finite()).then_some(peak)
    }

    /// The load at which what is done one after the other would be all that is done.
    pub fn optimal_load(&self) -> Option<f64> {
        (self.alpha > 0.0).then(|| 1.0 / self.alpha)
    }

    /// The throughput that no load exceeds, by contention alone.
    pub fn limit(&self) -> Option<f64> {
        (self.alpha > 0.0).then(|| self.gamma / self.alpha)
    }

    /// Why the fit is not to be believed; `None` where it is.
    pub fn doubt(&self) -> Option<String> {
        if self.worst_residual > BELIEVED {
            let worst = self.worst_residual * 100.0;
            return Some(format!(
                "a residual of {worst:.1} % of what was measured, where {:.0} % are allowed",
                BELIEVED * 100.0
            ));
        }
        let is_pattern = self.signs_by_chance < PATTERN && self.worst_residual > ROUNDING;
        is_pattern.then(|| "the residuals have a pattern: another law is at work".to_owned())
    }
}

/// Fits the law by least squares of throughput, with α and β at least 0: without these bounds some
/// published sets give a negative coherency, which means nothing.
///
/// Levenberg and Marquardt's method with an active set: of two bounds and three coefficients, which
/// is less than a library for it would bring along.
pub fn fit(points: &[Point]) -> Result<Usl, NoFit> {
    let is_positive = |value: f64| value.is_finite() && value > 0.0;
    if !points.iter().all(|(load, x)| is_positive(*load) && is_positive(*x)) {
        return Err(NoFit::NotPositive);
    }
    let mut loads: Vec<f64> = points.iter().map(|(load, _)| *load).collect();
    loads.sort_unstable_by(f64::total_cmp);
    loads.dedup();
    if loads.len() < FEWEST || points.len() > MOST {
        return Err(NoFit::TooFew);
    }
    let steepest = points.iter().map(|(load, x)| x / load).fold(0.0, f64::max);
    let starts = [linearised(points), Some([0.01, 1e-4, steepest]), Some([0.0, 0.0, steepest])];
    let found = starts.into_iter().flatten().map(|start| descend(points, start));
    let best = found.min_by(|a, b| squares(points, *a).total_cmp(&squares(points, *b)));
    let best = best.filter(|it| it.iter().all(|value| value.is_finite()) && it[2] > 0.0);
    let [alpha, beta, gamma] = best.ok_or(NoFit::NoLaw)?;
    let coefficients = [alpha, beta, gamma];
    let freedom = as_f64(points.len() as u64) - 3.0;
    let residual_error = (squares(points, coefficients) / freedom).sqrt();
    let residuals: Vec<f64> = points.iter().map(|(n, x)| (x - law(coefficients, *n)) / x).collect();
    Ok(Usl {
        alpha,
        beta,
        gamma,
        intervals: intervals(points, coefficients, residual_error, freedom),
        residual_error,
        worst_residual: residuals.iter().fold(0.0, |worst, each| worst.max(each.abs())),
        signs_by_chance: few_runs(points, &residuals),
        measured: loads.last().copied().unwrap_or(0.0),
    })
}

/// Coefficients: α, β, γ.
type Coefficients = [f64; 3];

fn law([alpha, beta, gamma]: Coefficients, load: f64) -> f64 {
    gamma * load / divisor(alpha, beta, load)
}

fn divisor(alpha: f64, beta: f64, load: f64) -> f64 {
    1.0 + alpha * (load - 1.0) + beta * load * (load - 1.0)
}

/// By how much the law changes with each coefficient.
fn slopes([alpha, beta, gamma]: Coefficients, load: f64) -> [f64; 3] {
    let below = divisor(alpha, beta, load);
    let steep = -gamma * load / (below * below);
    [steep * (load - 1.0), steep * load * (load - 1.0), load / below]
}

fn squares(points: &[Point], coefficients: Coefficients) -> f64 {
    let sum: f64 = points.iter().map(|(load, x)| (x - law(coefficients, *load)).powi(2)).sum();
    if sum.is_finite() { sum } else { f64::INFINITY }
}

/// A first guess: `N/X = 1/γ + (α/γ)(N − 1) + (β/γ)N(N − 1)` is linear in its coefficients.
fn linearised(points: &[Point]) -> Option<Coefficients> {
    let mut normal = Normal::default();
    for (load, x) in points {
        normal.add([1.0, load - 1.0, load * (load - 1.0)], load / x);
    }
    let [first, second, third] = solve(normal.matrix, normal.right)?;
    (first > 0.0).then(|| [(second / first).max(0.0), (third / first).max(0.0), 1.0 / first])
}

/// The normal equations of least squares.
#[derive(Clone, Copy, Default)]
struct Normal {
    matrix: [[f64; 3]; 3],
    right: [f64; 3],
}

impl Normal {
    fn add(&mut self, row: [f64; 3], value: f64) {
        for (at, left) in row.iter().enumerate() {
            self.right[at] += left * value;
            for (to, right) in row.iter().enumerate() {
                self.matrix[at][to] += left * right;
            }
        }
    }

    /// Without the coefficients that are held where they are.
    fn without(mut self, held: [bool; 3]) -> Self {
        for at in (0..3).filter(|at| held[*at]) {
            self.right[at] = 0.0;
            self.matrix[at] = [0.0; 3];
            for row in &mut self.matrix {
                row[at] = 0.0;
            }
            self.matrix[at][at] = 1.0;
        }
        self
    }
}

/// What each step of the descent makes of its damping, and how often it may.
const STEPS: usize = 500;

/// A gain below this share ends the descent.
const GAINED: f64 = 1e-14;

fn descend(points: &[Point], start: Coefficients) -> Coefficients {
    let (mut at, mut damping) = (start, 1e-3);
    let mut height = squares(points, at);
    for _ in 0..STEPS {
        let normal = normal_at(points, at);
        // What stands on its bound and would leave the allowed side is held there.
        let held =
            [0, 1, 2].map(|each: usize| each < 2 && at[each] <= 0.0 && normal.right[each] <= 0.0);
        let mut damped = normal.without(held);
        for each in 0..3 {
            damped.matrix[each][each] *= 1.0 + damping;
        }
        let Some(step) = solve(damped.matrix, damped.right) else { return at };
        let mut next = [0, 1, 2].map(|each: usize| at[each] + step[each]);
        next[0] = next[0].max(0.0);
        next[1] = next[1].max(0.0);
        let lower = squares(points, next);
        if lower.is_finite() && lower <= height && next[2] > 0.0 {
            let gain = height - lower;
            (at, height, damping) = (next, lower, (damping / 5.0).max(1e-12));
            if gain <= GAINED * height {
                break;
            }
        } else {
            damping *= 4.0;
            if damping > 1e12 {
                break;
            }
        }
    }
    at
}

fn normal_at(points: &[Point], at: Coefficients) -> Normal {
    let mut normal = Normal::default();
    for (load, x) in points {
        normal.add(slopes(at, *load), x - law(at, *load));
    }
    normal
}

/// By Gauss, the largest pivot of each column first; `None` where the columns depend on each other.
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let largest =
            |a: &usize, b: &usize| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs());
        let pivot = (column..3).max_by(largest)?;
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        if matrix[column][column] == 0.0 || !matrix[column][column].is_finite() {
            return None;
        }
        for row in column + 1..3 {
            let factor = matrix[row][column] / matrix[column][column];
            let above = matrix[column];
            for (value, above) in matrix[row].iter_mut().zip(above) {
                *value -= factor * above;
            }
            right[row] -= factor * right[column];
        }
    }
    let mut found = [0.0; 3];
    for row in (0..3).rev() {
        let known: f64 = (row + 1..3).map(|each| matrix[row][each] * found[each]).sum();
        found[row] = (right[row] - known) / matrix[row][row];
    }
    found.iter().all(|value| value.is_finite()).then_some(found)
}

/// By the curvature at the fit, as is usual for least squares, cut at 0.
fn intervals(
    points: &[Point],
    at: Coefficients,
    residual_error: f64,
    freedom: f64,
) -> [Option<[f64; 2]>; 3] {
    let held = [at[0] <= 0.0, at[1] <= 0.0, false];
    let normal = normal_at(points, at).without(held);
    let Ok(student) = StudentsT::new(0.0, 1.0, freedom) else { return [None; 3] };
    let reach = student.inverse_cdf(0.975);
    [0, 1, 2].map(|each: usize| {
        let mut unit = [0.0; 3];
        unit[each] = 1.0;
        let variance = solve(normal.matrix, unit).filter(|_| !held[each])?[each];
        let by = reach * residual_error * variance.max(0.0).sqrt();
        by.is_finite().then(|| [(at[each] - by).max(0.0), at[each] + by])
    })
}

/// How likely it is that the signs of the residuals, in order of load, change no more often than
/// they do (Wald and Wolfowitz, exactly).
fn few_runs(points: &[Point], residuals: &[f64]) -> f64 {
    let mut signs: Vec<(f64, bool)> =
        points.iter().zip(residuals).map(|((load, _), each)| (*load, *each > 0.0)).collect();
    signs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let above = signs.iter().filter(|(_, above)| *above).count() as u64;
    let below = signs.len() as u64 - above;
    let runs = 1 + signs.windows(2).filter(|pair| pair[0].1 != pair[1].1).count() as u64;
    if above == 0 || below == 0 {
        return 1.0;
    }
    let choose = |of: u64, some: u64| if some > of { 0.0 } else { binomial(of, some) };
    let ways = |runs: u64| {
        let half = runs / 2;
        if runs.is_multiple_of(2) {
            2.0 * choose(above - 1, half - 1) * choose(below - 1, half - 1)
        } else {
            choose(above - 1, half) * choose(below - 1, half - 1)
                + choose(above - 1, half - 1) * choose(below - 1, half)
        }
    };
    let chance = (2..=runs).map(ways).sum::<f64>() / choose(above + below, above);
    if chance.is_finite() { chance } else { 1.0 }
}

#[cfg(test)]
mod tests;
