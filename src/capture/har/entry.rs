//! An entry of a HAR file, read leniently: whatever writes HAR leaves something out, or writes a
//! number as text.

use crate::capture::lenient::{Several, Text};

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) started_date_time: Text,
    pub(super) time: Option<f64>,
    pub(super) request: Request,
    pub(super) response: Option<Answer>,
    pub(super) timings: Option<Timings>,
    #[serde(default)]
    pub(super) connection: Text,
    #[serde(default, rename = "serverIPAddress")]
    pub(super) server_ip_address: Text,
    /// Of Chrome: `memory` or `disk`.
    #[serde(default, rename = "_fromCache")]
    pub(super) from_cache: Text,
    /// Of Safari: `Memory Cache`, `Disk Cache`, `Network Load` ...
    #[serde(default, rename = "_fetchType")]
    pub(super) fetch_type: Text,
    #[serde(default, rename = "_webSocketMessages")]
    pub(super) messages: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    #[serde(default)]
    pub(super) method: Text,
    #[serde(default)]
    pub(super) url: Text,
    #[serde(default)]
    pub(super) http_version: Text,
    #[serde(default)]
    pub(super) headers: Option<Several<Pair>>,
    #[serde(default)]
    pub(super) cookies: Option<Several<Pair>>,
    pub(super) post_data: Option<PostData>,
    pub(super) body_size: Option<f64>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostData {
    #[serde(default)]
    pub(super) mime_type: Text,
    pub(super) text: Option<String>,
    #[serde(default, alias = "_encoding")]
    pub(super) encoding: Text,
    pub(super) params: Option<Several<Pair>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) status: Text,
    #[serde(default)]
    pub(super) status_text: Text,
    #[serde(default)]
    pub(super) http_version: Text,
    #[serde(default)]
    pub(super) headers: Option<Several<Pair>>,
    pub(super) content: Option<Content>,
    pub(super) body_size: Option<f64>,
}

#[derive(serde::Deserialize)]
pub(super) struct Content {
    pub(super) size: Option<f64>,
    pub(super) compression: Option<f64>,
}

#[derive(serde::Deserialize)]
pub(super) struct Pair {
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) value: Text,
}

/// In milliseconds; negative where it does not apply. `ssl` is part of `connect`.
#[derive(Default, serde::Deserialize)]
pub(super) struct Timings {
    pub(super) blocked: Option<f64>,
    pub(super) dns: Option<f64>,
    pub(super) connect: Option<f64>,
    pub(super) send: Option<f64>,
    pub(super) wait: Option<f64>,
    pub(super) receive: Option<f64>,
}
