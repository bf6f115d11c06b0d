//! How soon an endpoint serves again after all connections were closed.

use std::time::Duration;

use crate::act::connections::held::{Crowd, pause};
use crate::act::connections::search::{batch, more};
use crate::act::connections::seen::Recovery;
use crate::act::connections::{Site, since};

/// Longest wait for one more to be admitted.
const NO_MORE: Duration = Duration::from_secs(10);

/// Opens and holds so many again; each is served before it counts, and all are asked in the end.
pub(super) async fn recovery(site: Site<'_>, wanted: u64, released: Duration) -> Recovery {
    let mut recovery = Recovery { wanted, ..Recovery::default() };
    let mut crowd = Crowd::default();
    let (mut at_once, mut progress) = (batch(site), released);
    while crowd.len() < wanted && !site.is_stopped() {
        let now = site.epoch().now();
        if now.saturating_sub(progress) > NO_MORE || now.saturating_sub(released) > site.within {
            break;
        }
        let before = crowd.len();
        let refusal = more(site, &mut crowd, at_once.min(wanted - before)).await;
        if crowd.len() > before {
            progress = site.epoch().now();
        }
        match refusal {
            None => {}
            Some(refusal) if refusal.is_limit() => {
                recovery.refused += 1;
                recovery.last_refused_ns = since(site.epoch(), released);
                at_once = (at_once / 2).max(1);
                site.unless_stopped(pause(Duration::from_millis(20))).await;
            }
            Some(refusal) => {
                recovery.trouble = Some(refusal.text());
                break;
            }
        }
    }
    crowd.beat(site).await;
    recovery.served = crowd.len();
    recovery.took_ns = since(site.epoch(), released);
    if site.is_stopped() {
        recovery.trouble = Some("it was stopped".to_owned());
    }
    crowd.close(site).await;
    recovery
}
