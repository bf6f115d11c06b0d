//! Answers beside the recorded ones, as a table.

use crate::report::html::table::{Kind, TableView, amount, dash, measure, text};
use crate::report::html::tables::Section;
use crate::report::responses::{Compared, Route};
use crate::report::text::{number, share};
use crate::stats::counts::{as_f64, total};
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
         same requests differ by{others}. {}",
        contents(compared)
    )
}

/// What was compared of contents, or how they would have been.
fn contents(compared: &Compared) -> String {
    if compared.contents_kept == 0 {
        return "Contents were not compared: the recording kept none of them, which record and \
                import do with --contents."
            .to_owned();
    }
    let unread = match compared.contents_unread {
        0 => String::new(),
        count => format!(", and {} could not be looked into", format_count(count)),
    };
    let [bodies, kept] = [compared.contents, compared.contents_kept].map(format_count);
    format!("Of {kept} the recording kept contents; {bodies} were compared by them{unread}.")
}

fn row(route: &Route) -> Vec<crate::report::html::table::Cell> {
    let statuses: Vec<String> = route
        .statuses
        .iter()
        .map(|(pair, count)| format!("{} {pair}", format_count(*count)))
        .collect();
    let by_itself = |ways: Ways| match ways.compared {
        0 => dash(),
        compared => {
            let other = total([ways.less, ways.more]);
            measure(share(other, compared), as_f64(other) / as_f64(compared))
        }
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
        route.times().map_or_else(dash, |times| measure(number(times, 2), times)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_says_what_was_compared_of_contents_or_how_to_keep_them() {
        let without = caption(&Compared { statuses: 3, ..Compared::default() });
        assert!(without.contains("not compared: the recording kept none"), "{without}");
        assert!(without.contains("--contents"), "{without}");
        let with = Compared { contents_kept: 5, contents: 3, contents_unread: 1, ..without_any() };
        let with = caption(&with);
        assert!(
            with.ends_with(
                "kept contents; 3 were compared by them, and 1 could not be looked \
                                into."
            ),
            "{with}"
        );
        assert!(!with.contains("--contents"), "{with}");
    }

    fn without_any() -> Compared {
        Compared { statuses: 5, ..Compared::default() }
    }
}
