//! Colours of the page that people can tell from what is behind them, in light and in dark.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The variables of the page: on paper and light screens, and on dark ones.
fn themes() -> [BTreeMap<String, [f64; 3]>; 2] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/report.css");
    let css = fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> = css.split(":root").skip(1).take(2).collect();
    let [light, dark] = blocks[..] else { panic!("two themes") };
    [light, dark].map(|block| {
        let block = block.split('}').next().unwrap();
        let colours = block.split(';').filter_map(|rule| rule.split_once(": #"));
        let name = |text: &str| text.rsplit("--").next().unwrap().to_owned();
        colours.map(|(named, hex)| (name(named), parts(hex))).collect()
    })
}

fn parts(hex: &str) -> [f64; 3] {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    [part(0), part(2), part(4)]
}

/// As WCAG 2 has it: 1 for the same colour, 21 for black on white.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let light = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    let (a, b) = (light(a), light(b));
    a.max(b) / a.min(b)
}

#[test]
fn contrasts_are_as_the_guideline_computes_them() {
    assert!((contrast(parts("000000"), parts("ffffff")) - 21.0).abs() < 1e-9);
    assert!((contrast(parts("777777"), parts("ffffff")) - 4.48).abs() < 0.01);
}

/// Text has a contrast of 4.5 at least, and lines of charts have 3. What only parts or orders the
/// page is seen at all: rules and grids, cards, and the fewest answers of the heatmap.
#[test]
fn text_and_lines_can_be_told_from_their_background() {
    for theme in themes() {
        assert!(theme.len() >= 17, "{theme:?}");
        for (names, least) in [
            (&["ink", "muted", "good", "doubt", "bad", "link"][..], 4.5),
            (&["planned", "sent", "residual", "typical", "tail", "warm", "hot"], 3.0),
            (&["rule", "grid", "axis", "cool"], 1.2),
            (&["card"], 1.05),
        ] {
            for (name, behind) in names.iter().flat_map(|name| [(name, "paper"), (name, "card")]) {
                // Charts lie on the paper.
                if least < 4.0 && behind == "card" {
                    continue;
                }
                let found = contrast(theme[*name], theme[behind]);
                assert!(found >= least, "{name} on {behind}: {found:.2}");
            }
        }
    }
}
