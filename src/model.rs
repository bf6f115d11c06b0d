//! A fitted statistical model of a recording, and recordings drawn from it.
//!
//! A model is numbers and templates of routes: nothing that one client sent is in it. `fit` makes
//! one of a recording, `file` writes and reads it, `edit` changes it, `draw` makes a recording of
//! it, `check` says how far such recordings are from the one that was fitted, and `leak` that
//! nothing recorded is in the file.
//!
//! Its layers, from outside in: sessions begin at a rate that changes ([`Level`]), and in bursts
//! where they did ([`Bursts`]); a session belongs to a group of like behaviour ([`Group`]) and goes
//! from route to route ([`State`]); each request has a key, sizes, a status and times that depend
//! on its route alone ([`Route`]); requests share connections ([`Connections`]).

pub mod owners;
pub mod sketch;
pub mod sample;
pub mod sizes;
pub mod edit;
pub mod file;
pub mod routes;
pub mod observe;
pub mod arrivals;
pub mod groups;
pub mod chains;
pub mod keys;
pub mod fit;
pub mod draw;
pub mod leak;
pub mod statistics;
pub mod check;

use crate::model::edit::Edits;
use crate::model::sizes::Sizes;
use crate::model::sketch::{Law, Sketch};

/// A model of load. Times are in seconds, sizes in bytes, shares from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What it was fitted to.
    pub fitted: Fitted,
    /// How long the rate below lasts; a longer recording begins it anew.
    pub duration: f64,
    /// Sessions that begin, from moment to moment.
    pub rate: Vec<Level>,
    /// How the rate switches at random; `None` where sessions begin as a Poisson process.
    pub bursts: Option<Bursts>,
    /// What is asked for.
    pub routes: Vec<Route>,
    /// Behaviour of sessions; their shares add up to 1.
    pub groups: Vec<Group>,
    /// How requests share connections.
    pub connections: Connections,
    /// What is to be changed before drawing.
    pub edits: Edits,
}

/// What a model was fitted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fitted {
    /// Requests, in four digits.
    pub requests: u64,
    /// Visits, in four digits.
    pub sessions: u64,
}

/// A stretch of time in which sessions begin at one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Its beginning in seconds; it lasts until the next one's.
    pub from: f64,
    /// Sessions that begin in a second.
    pub sessions: f64,
    /// Most requests that were recorded in one of its seconds, of those with enough clients; 0
    /// where there is none. For people, who see what the mean hides.
    pub busiest: u64,
}

/// A rate that switches between calm and busy, each for an exponential time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// The rate when calm, as a multiple of the mean.
    pub calm: f64,
    /// The same when busy.
    pub busy: f64,
    /// Mean time that it is calm.
    pub calm_lasts: f64,
    /// Mean time that it is busy.
    pub busy_lasts: f64,
}

/// A method and a template: what requests of it have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Method and template, such as `GET /cart/*`, or [`OTHER`].
    pub name: String,
    /// What stands for the stars, and behind the path; `None` where there was but one target.
    pub keys: Option<Keys>,
    /// Sizes of request heads.
    pub head: Sketch,
    /// Sizes of request bodies.
    pub body: Sizes,
    /// Sizes of response bodies.
    pub answer: Sizes,
    /// Statuses and their shares; 0 stands for no response.
    pub statuses: Vec<(u16, f64)>,
    /// From the request to the first byte of the response; `None` where it was not recorded.
    pub first_byte: Option<Law>,
    /// From the first byte to the last.
    pub rest: Option<Law>,
}

/// The route of everything that too few clients asked for to be told apart.
pub const OTHER: &str = "OTHER";

/// What of a route is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    /// Keys that are asked for again and again.
    pub count: u64,
    /// Exponent of their popularity: the key of rank r is asked for in proportion to `r^−s`.
    pub exponent: f64,
    /// Share of requests whose key is asked for once and never again.
    pub once: f64,
    /// Share of the others whose key was not asked for lately, beyond what popularity says.
    pub fresh: f64,
    /// How far back the key of one of the others was asked for, among different ones: up to so
    /// many, and farther than the one before, and the share, beyond what popularity says. What is
    /// left of all shares is asked for by popularity alone.
    pub recent: Vec<(u64, f64)>,
}

/// Farthest distance at which keys count as asked for lately: 200 routes of so many are 150 MB.
pub const MOST_RECENT: usize = 1 << 14;

/// Sessions of like behaviour: a Markov chain over routes.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Share of sessions.
    pub share: f64,
    /// First routes and their shares, by their position among the routes.
    pub begins: Vec<(usize, f64)>,
    /// Where steps lead that too few clients took to be told apart.
    pub elsewhere: Vec<(usize, f64)>,
    /// What follows each route.
    pub states: Vec<State>,
}

/// What follows one route. The shares of `next` and `ends` add up to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The route, by its position.
    pub from: usize,
    /// Share of times that the session ends.
    pub ends: f64,
    /// The steps.
    pub next: Vec<Step>,
}

/// A step from one request of a session to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The route that it leads to; `None` is one of the group's `elsewhere`.
    pub to: Option<usize>,
    /// Share of the times that a session was there.
    pub share: f64,
    /// The request belongs to the page before it: a program asks for it and no person.
    pub embedded: bool,
    /// Seconds from one request to the next.
    pub gap: Law,
}

/// How requests share connections.
#[derive(Clone, Debug, PartialEq)]
pub struct Connections {
    /// Sessions share them, as behind a proxy; otherwise each session has its own.
    pub shared: bool,
    /// Share of requests that open a connection while all that they could use are busy; the others
    /// wait behind a request on one of them.
    pub when_busy: f64,
    /// The same while one is idle, by how long it has been: up to so many seconds, and beyond the
    /// last.
    pub when_idle: Vec<(f64, f64)>,
    /// How long a connection stays open behind its last response; `None` where that is not known.
    pub held: Option<Law>,
}

/// Clients that must have something in common before a model says it.
pub const ANONYMOUS: usize = 20;

/// Routes told apart; further ones are [`OTHER`].
pub const MAX_ROUTES: usize = 200;

/// Groups of sessions told apart.
pub const MAX_GROUPS: usize = 6;

/// A number with four significant digits: so much is in a file, since more of them would tell of
/// single clients and nothing of the load.
pub fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
