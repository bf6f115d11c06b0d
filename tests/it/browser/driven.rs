//! A browser that is driven as a person drives it: real keys, a dark screen, paper. It speaks its
//! own protocol over two pipes, so that no port is open and no time is waited for.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A page in a browser of its own.
pub(super) struct Driven {
    browser: Child,
    into: File,
    from: BufReader<File>,
    session: String,
    next: u64,
    /// What happened by itself: errors, requests, dialogs.
    events: Vec<Value>,
    folder: TempDir,
}

impl Driven {
    /// Opens a page from a file, and waits until its charts are drawn.
    pub(super) fn open(page: &str) -> Self {
        Self::open_at(page, 1_280, 900)
    }

    /// The same on a screen of so many pixels.
    pub(super) fn open_at(page: &str, width: u32, height: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.html");
        fs::write(&file, page).unwrap();
        let (browser, into, from) = start(folder.path());
        let (session, events) = (String::new(), Vec::new());
        let mut driven =
            Self { browser, into, from: BufReader::new(from), session, next: 0, events, folder };
        let target = driven.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = driven.call("Target.attachToTarget", &target);
        attached["sessionId"].as_str().unwrap().clone_into(&mut driven.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            driven.call(&format!("{domain}.enable"), &json!({}));
        }
        driven.resize(width, height);
        driven.call("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }));
        driven.ask(
            "new Promise(done => { const look = () => \
             performance.getEntriesByName('charts-drawn').length ? done(true) \
             : setTimeout(look, 10); look(); })",
        );
        driven
    }

    /// Gives the page so many pixels, and waits until it has taken them.
    /// So few are a telephone, which shows a page that does not say otherwise as a wide one.
    pub(super) fn resize(&mut self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let settled = "new Promise(done => requestAnimationFrame(() => \
                       requestAnimationFrame(() => done(true))))";
        self.ask(settled);
    }

    /// The value of an expression in the page; a promise is waited for.
    pub(super) fn ask(&mut self, expression: &str) -> Value {
        loop {
            let asked = json!({
                "expression": expression, "awaitPromise": true, "returnByValue": true,
            });
            let answer = self.call_or_error("Runtime.evaluate", &asked);
            // A page that is just being left takes its answers with it.
            let Ok(answer) = answer else { continue };
            assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
            return answer["result"]["value"].clone();
        }
    }

    /// Presses a key and lets it go.
    pub(super) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            " " => (32, " "),
            "Tab" => (9, ""),
            other => panic!("no code is known for {other}"),
        };
        let name = if key == " " { "Space" } else { key };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            self.call(
                "Input.dispatchKeyEvent",
                &json!({
                    "type": kind, "key": key, "code": name, "windowsVirtualKeyCode": code,
                    "text": text,
                }),
            );
        }
    }

    /// Types text where the focus is.
    pub(super) fn type_in(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Shows the page as on a screen or on paper, in light or dark.
    pub(super) fn show(&mut self, media: &str, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "media": media, "features": features });
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// Prints the page, and returns the size of what came of it.
    pub(super) fn print(&mut self) -> usize {
        let printed = self.call("Page.printToPDF", &json!({}));
        printed["data"].as_str().unwrap().len()
    }

    /// Errors and warnings, questions to a network, and dialogs, so far.
    pub(super) fn complaints(&self) -> Vec<String> {
        let told = self.events.iter().filter(|event| {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown"
                | "Page.javascriptDialogOpening"
                | "Log.entryAdded"
                | "Runtime.consoleAPICalled" => true,
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str().unwrap_or_default();
                    !["file:", "data:", "blob:", "about:"].iter().any(|own| url.starts_with(own))
                }
                _ => false,
            }
        });
        told.map(ToString::to_string).collect()
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.call_or_error(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn call_or_error(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.into.write_all(&bytes).unwrap();
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).unwrap();
            assert_eq!(bytes.pop(), Some(0), "the browser ended: {}", self.log());
            let message: Value = serde_json::from_slice(&bytes).unwrap();
            if message["id"] == self.next {
                let failed = message.get("error").cloned();
                return failed.map_or_else(|| Ok(message["result"].clone()), Err);
            }
            self.events.push(message);
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        let _ = self.into.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let _ = self.browser.wait();
    }
}

/// Longest life of a browser, s: a test that hangs must end.
const LONGEST: &str = "180";

/// Starts a browser that reads its orders from descriptor 3 and answers on descriptor 4.
fn start(folder: &Path) -> (Child, File, File) {
    let [orders, answers] = ["orders", "answers"].map(|name| folder.join(name));
    assert!(Command::new("mkfifo").arg(&orders).arg(&answers).status().unwrap().success());
    let script = "exec timeout \"$1\" \"$2\" --remote-debugging-pipe --headless --no-sandbox \
                  --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run \
                  --disable-background-networking --disable-component-update \
                  --proxy-server=127.0.0.1:1 --user-data-dir=\"$3/profile\" \
                  3<\"$3/orders\" 4>\"$3/answers\"";
    let log = File::create(folder.join("log")).unwrap();
    let browser = Command::new("sh")
        .args(["-c", script, "sh", LONGEST, super::CHROMIUM])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    // Each end waits for the other one, in the order of the script.
    let into = OpenOptions::new().write(true).open(&orders).unwrap();
    let from = File::open(&answers).unwrap();
    (browser, into, from)
}
