//! What if: changes to a model before a recording is drawn of it.

use crate::model::sizes::{PowerTail, Sizes};
use crate::model::sketch::Law;
use crate::model::{Model, Route, keys, rounded};

/// Changes, as a file or the command line has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Edits {
    /// Times as many sessions.
    pub sessions: f64,
    /// The index α that all tails of sizes get.
    pub tail: Option<f64>,
    /// Crowds that come at once.
    pub crowds: Vec<Crowd>,
    /// Routes that were not recorded.
    pub routes: Vec<NewRoute>,
    /// Customers with requests larger than any other.
    pub outliers: Vec<Outlier>,
}

impl Default for Edits {
    fn default() -> Self {
        Self {
            sessions: 1.0,
            tail: None,
            crowds: Vec::new(),
            routes: Vec::new(),
            outliers: Vec::new(),
        }
    }
}

/// A time in which more sessions begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crowd {
    /// When, in seconds.
    pub at: f64,
    /// For how long, in seconds.
    pub lasts: f64,
    /// Times as many sessions as otherwise.
    pub times: f64,
}

/// A route that gets a share of the traffic besides what there is.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRoute {
    /// Method and template.
    pub route: String,
    /// Its share of all requests then, below 1.
    pub share: f64,
}

/// A customer who sends large bodies again and again, on a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// Size of each body.
    pub bytes: u64,
    /// Seconds between two of them.
    pub every: f64,
}

/// Most of one kind of edit.
pub const MAX_EDITS: usize = 100;

/// Share of the bodies that a tail is made of where there was none.
const NEW_TAIL: f64 = 0.05;

/// No size is drawn beyond so many times the largest recorded: what is beyond was never seen.
const BEYOND: f64 = 2.0;

/// The model with its edits carried out; new routes are behind the others, and crowds and outliers,
/// which come at moments of the draw and not of the model, stay for whoever draws.
pub fn edited(model: &Model) -> Model {
    let mut model = model.clone();
    for level in &mut model.rate {
        level.sessions *= model.edits.sessions;
    }
    model.edits.sessions = 1.0;
    if let Some(index) = model.edits.tail.take() {
        for route in &mut model.routes {
            heavier(&mut route.body, index);
            heavier(&mut route.answer, index);
        }
    }
    let new: Vec<Route> =
        model.edits.routes.iter().filter_map(|new| like(&model.routes, &new.route)).collect();
    model.routes.extend(new);
    model
}

fn heavier(sizes: &mut Sizes, index: f64) {
    if let Some(tail) = &mut sizes.tail {
        tail.index = index;
    } else {
        let start = match &sizes.middle {
            Law::Points(sketch) if sketch.most() > sketch.at(0.0) => sketch.at(1.0 - NEW_TAIL),
            // At 1.645 standard deviations.
            Law::LogNormal { median, sigma, .. } => median * (1.645 * sigma).exp(),
            Law::Points(_) => return,
        };
        sizes.tail = Some(PowerTail { share: NEW_TAIL, start, index });
    }
    sizes.most = rounded(sizes.most * BEYOND);
}

/// A route with the sizes and times of the first one with its method, or of the first of all.
fn like(routes: &[Route], name: &str) -> Option<Route> {
    let method = |name: &str| name.split(' ').next().unwrap_or_default().to_owned();
    let same = routes.iter().find(|route| method(&route.name) == method(name));
    let route = same.or(routes.first())?;
    let keys = name.contains('*').then_some(keys::USUAL);
    Some(Route { name: name.to_owned(), keys, ..route.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sketch::Sketch;

    #[test]
    fn tails_are_changed_made_and_bounded() {
        let spread = Sketch::new(vec![[0.0, 1.0], [0.5, 100.0], [1.0, 1_000.0]]).unwrap();
        let mut sizes =
            Sizes { empty: 0.0, middle: Law::Points(spread), tail: None, most: 1_000.0 };
        heavier(&mut sizes, 1.1);
        let tail = sizes.tail.unwrap();
        assert!(tail.start > 500.0 && (tail.index - 1.1).abs() < 1e-12, "{tail:?}");
        assert!((sizes.most - 2_000.0).abs() < 1e-9, "{sizes:?}");
        let one = Sizes { middle: Law::Points(Sketch::constant(7.0)), tail: None, ..sizes };
        let mut same = one.clone();
        heavier(&mut same, 1.1);
        assert_eq!(same, one);
    }
}
