//! Answers beside the recorded ones, as a table.

use crate::report::html::table::{Kind, TableView, amount, dash, numeric, text};
use crate::report::html::tables::Section;
use crate::report::responses::{Compared, Route};
use crate::report::text::{number, share};
use crate::stats::counts::total;
use crate::summary::evidence::responses::Ways;
use crate::units::format_count;

/// The section; `None` where nothing can be compared.
pub(super) fn section(compared: Option<&Compared>) -> Option<Section> {
    let compared = compared?;
    Some(Section {
        id: "responses",
        title: "Responses",
        tables: vec![TableView {
            caption: caption(compared),
            columns: vec![
                "route",
                "compared",
                "other statuses",
                "other class",
                "by itself",
                "bodies",
                "smaller",
                "larger",
                "by itself",
                "times as large",
            ],
            rows: compared.routes.iter().map(row).collect(),
            kind: Kind::Sortable,
        }],
    })
}

fn caption(compared: &Compared) -> String {
    let statuses = format_count(compared.statuses);
    let sizes = format_count(compared.sizes);
    let others = match compared.other_routes {
        0 => String::new(),
        more => format!("; {} more routes are not listed", format_count(more)),
    };
    format!(
        "Answers that are not those of the recording, of {statuses} whose recorded status is known \
         and {sizes} whose recorded size is; “by itself” is what production's own answers to the \
         same requests differ by{others}"
    )
}

fn row(route: &Route) -> Vec<crate::report::html::table::Cell> {
    let statuses: Vec<String> = route
        .statuses
        .iter()
        .map(|(pair, count)| format!("{} {pair}", format_count(*count)))
        .collect();
    let by_itself = |ways: Ways| match ways.compared {
        0 => dash(),
        compared => numeric(share(total([ways.less, ways.more]), compared)),
    };
    let sizes = route.sizes.ways;
    vec![
        text(&route.route),
        amount(route.compared),
        text(&statuses.join(", ")),
        amount(total([route.classes.less, route.classes.more])),
        by_itself(route.class_repeats),
        amount(sizes.compared),
        amount(sizes.less),
        amount(sizes.more),
        by_itself(route.size_repeats),
        route.times().map_or_else(dash, |times| numeric(number(times, 2))),
    ]
}
