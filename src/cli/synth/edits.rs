//! What if: edits of a model as options.

use crate::model::Model;
use crate::model::edit::{Crowd, NewRoute, Outlier};
use crate::model::file::read::from_text;
use crate::model::file::write;
use crate::units::{parse_duration, parse_share, parse_size};

/// Edits, which are added to those of the model's file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct EditOptions {
    /// What if all tails of sizes had this index α, such as 1.1? Smaller is heavier.
    #[arg(long, value_name = "ALPHA")]
    tail: Option<f64>,
    /// What if a crowd came: from this moment on, for so long, so many times as many sessions,
    /// such as `10m,1m,3`?
    #[arg(long, value_name = "AT,TIME,FACTOR", value_parser = crowd)]
    flash_crowd: Vec<Crowd>,
    /// What if there was a route more, with a share of all requests, such as `GET /new/*=5%`?
    #[arg(long, value_name = "ROUTE=SHARE", value_parser = new_route)]
    new_route: Vec<NewRoute>,
    /// What if a customer sent bodies of this size, every so often, such as `40MB,10s`?
    #[arg(long, value_name = "SIZE,TIME", value_parser = outlier)]
    outlier: Vec<Outlier>,
}

impl EditOptions {
    /// The model with these edits added. They are held to the same limits as those of a file.
    pub(super) fn apply(&self, model: &mut Model) -> anyhow::Result<()> {
        let edits = &mut model.edits;
        edits.tail = self.tail.or(edits.tail);
        edits.crowds.extend(&self.flash_crowd);
        edits.routes.extend(self.new_route.iter().cloned());
        edits.outliers.extend(&self.outlier);
        *model = from_text(&write(model), "the model with the edits that were given")?;
        Ok(())
    }
}

fn crowd(text: &str) -> Result<Crowd, String> {
    let [at, lasts, times] = parts(text, "a moment, a time and a factor, such as 10m,1m,3")?;
    let seconds =
        |text: &str| parse_duration(text).map(|it| it.as_secs_f64()).map_err(|e| e.to_string());
    let times = times.parse().map_err(|_| format!("`{times}` is not a factor"))?;
    Ok(Crowd { at: seconds(at)?, lasts: seconds(lasts)?, times })
}

fn outlier(text: &str) -> Result<Outlier, String> {
    let [bytes, every] = parts(text, "a size and a time, such as 40MB,10s")?;
    let every = parse_duration(every).map_err(|error| error.to_string())?.as_secs_f64();
    Ok(Outlier { bytes: parse_size(bytes).map_err(|error| error.to_string())?, every })
}

fn new_route(text: &str) -> Result<NewRoute, String> {
    let wanted = "write a route and its share, such as `GET /new/*=5%`";
    let (route, share) = text.rsplit_once('=').ok_or(wanted)?;
    let share = parse_share(share).map_err(|error| error.to_string())?;
    Ok(NewRoute { route: route.to_owned(), share })
}

fn parts<'a, const N: usize>(text: &'a str, wanted: &str) -> Result<[&'a str; N], String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    <[&str; N]>::try_from(parts).map_err(|_| format!("write {wanted}"))
}
