//! A browser as a visitor has one: headless Chromium through ChromeDriver.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::extensions::query::ElementQueryable as _;
use thirtyfour::prelude::*;
use thirtyfour::{Capabilities, TypingData};

use super::wait::{block_on, eventually};

/// What is said when it is missing.
const HINT: &str = "run `make test`, or scripts/ensure-browser.sh";

/// Runs in each page before anything of the page does: keeps what the page's security policy forbids, and what fails.
const WATCH: &str = r"
    window.seen = { violations: [], errors: [] };
    document.addEventListener('securitypolicyviolation', (event) =>
        window.seen.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
    addEventListener('error', (event) => window.seen.errors.push(`${event.message} ${event.filename}:${event.lineno}`));
    addEventListener('unhandledrejection', (event) => window.seen.errors.push(String(event.reason)));
";

/// A window of a browser of our own, gone when the test ends.
pub struct Browser {
    driver: Option<WebDriver>,
    chromedriver: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts it with a window of a desktop's size.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut chromedriver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=WARNING"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver: {error}; {HINT}"));
        let port = port_of(&mut chromedriver);
        let mut browser = Self { driver: None, chromedriver, _profile: profile };
        let capabilities = capabilities(browser._profile.path()).expect("options are JSON");
        browser.driver =
            Some(block_on(connect(port, capabilities)).unwrap_or_else(|error| panic!("{error}; {HINT}")));
        browser.command("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": WATCH }));
        browser.resize(1440, 1000);
        browser
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("it was started")
    }

    /// A command of Chromium's own protocol.
    pub fn command(&self, name: &str, parameters: &Value) -> Value {
        block_on(self.driver().cdp().send_raw(name, parameters))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Gives the page this many pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Lets pages see that the visitor likes them `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", &features);
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&self, url: &str) {
        block_on(self.driver().goto(url)).unwrap_or_else(|error| panic!("open {url}: {error}"));
    }

    /// Runs a script in the page, and gives what it returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        match block_on(self.driver().execute(script, Vec::new())) {
            Ok(returned) => returned.json().clone(),
            Err(error) => panic!("{script}: {error}"),
        }
    }

    /// Runs a script that calls its last argument when it is done, and gives what it calls it with.
    #[track_caller]
    pub fn run_async(&self, script: &str) -> Value {
        match block_on(self.driver().execute_async(script, Vec::new())) {
            Ok(returned) => returned.json().clone(),
            Err(error) => panic!("{error}"),
        }
    }

    /// The texts of all elements that a selector finds, in the page's order, as they are in its document.
    #[track_caller]
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let script = format!(
            "return [...document.querySelectorAll({})].map((element) => element.textContent)",
            Value::from(selector)
        );
        serde_json::from_value(self.run(&script)).unwrap()
    }

    /// The text of the first.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        self.texts(selector).into_iter().next().unwrap_or_else(|| panic!("nothing is {selector}"))
    }

    /// Waits until a script in the page returns true.
    #[track_caller]
    pub fn until(&self, what: &str, script: &str) {
        eventually(what, || self.run(script) == Value::Bool(true));
    }

    /// Waits until the text of the first element found satisfies `condition`, and gives it.
    #[track_caller]
    pub fn until_text(&self, selector: &str, condition: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        eventually(&format!("{selector} says what it should"), || {
            text = self.texts(selector).into_iter().next().unwrap_or_default();
            condition(&text)
        });
        text
    }

    #[track_caller]
    fn element(&self, selector: &str) -> WebElement {
        let found = block_on(self.driver().query(By::Css(selector)).first());
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// Clicks as a mouse does: what is covered or out of sight cannot be.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        block_on(async {
            element.scroll_into_view().await?;
            element.click().await
        })
        .unwrap_or_else(|error| panic!("click {selector}: {error}"));
    }

    /// Gives an element the keyboard and types.
    #[track_caller]
    pub fn keys(&self, selector: &str, keys: impl Into<TypingData>) {
        block_on(self.element(selector).send_keys(keys))
            .unwrap_or_else(|error| panic!("type in {selector}: {error}"));
    }

    /// What the page's security policy has forbidden since it was opened.
    pub fn violations(&self) -> Vec<String> {
        serde_json::from_value(self.run("return window.seen.violations")).unwrap()
    }

    /// What scripts of the page failed with since it was opened, and what the browser's console holds since it was last
    /// read: failed requests, refused scripts, warnings.
    pub fn complaints(&self) -> Vec<String> {
        let mut all: Vec<String> = serde_json::from_value(self.run("return window.seen.errors")).unwrap();
        let log = block_on(self.driver().browser_log()).expect("the browser's log");
        all.extend(log.into_iter().map(|entry| format!("{} {}", entry.level, entry.message)));
        all
    }

    /// Fails if the page keeps people out, or is wider than the window: light, dark, and on a telephone.
    #[track_caller]
    pub fn keeps_nobody_out(&self) {
        for (scheme, width) in [("light", 1440), ("dark", 1440), ("light", 390)] {
            self.prefer(scheme);
            self.resize(width, 900);
            let wide = self.run("return document.documentElement.scrollWidth");
            assert!(wide.as_u64() <= Some(width.into()), "at {width} pixels it is {wide} wide");
            let barriers = self.barriers();
            assert!(barriers.is_empty(), "{scheme}, {width} pixels:\n{barriers}");
        }
    }

    /// What axe-core finds that keeps people out, one a line; nothing when all is well.
    #[track_caller]
    pub fn barriers(&self) -> String {
        let axe = std::fs::read_to_string(axe()).unwrap();
        self.run(&format!("{axe}; window.axe = axe; return true"));
        let result = self.run_async(
            "const done = arguments[arguments.length - 1];
             const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
             window.axe.run(document, { runOnly: tags }).then(
                ({ violations, passes }) => done({ violations, passed: passes.length }),
                (error) => done({ error: String(error) }),
             )",
        );
        assert!(result["passed"].as_u64() > Some(10), "axe did not look: {}", result["error"]);
        let mut found = String::new();
        for violation in result["violations"].as_array().unwrap() {
            for node in violation["nodes"].as_array().unwrap() {
                let (rule, html) = (&violation["id"], &node["html"]);
                writeln!(found, "{rule} {html} {}", node["failureSummary"]).unwrap();
            }
        }
        found
    }

    /// A picture of what the window shows.
    pub fn screenshot(&self) -> Vec<u8> {
        block_on(self.driver().screenshot_as_png()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Best effort: a browser that crashed cannot be asked any more.
        if let Some(driver) = self.driver.take() {
            let _ = block_on(driver.quit());
        }
        let _ = self.chromedriver.kill();
        let _ = self.chromedriver.wait();
    }
}

/// Where the test set-up has put axe-core.
fn axe() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe-core/node_modules/axe-core/axe.min.js");
    assert!(path.exists(), "axe-core is missing: {HINT}");
    path
}

/// The port that a ChromeDriver has chosen.
fn port_of(chromedriver: &mut Child) -> u16 {
    let mut lines = BufReader::new(chromedriver.stdout.take().unwrap()).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    // It must never find its stdout full or gone.
    std::thread::spawn(move || lines.for_each(drop));
    port.expect("chromedriver says its port")
}

fn capabilities(profile: &Path) -> WebDriverResult<Capabilities> {
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities.set_headless()?;
    // Containers have neither the rights for Chromium's sandbox nor room in /dev/shm.
    for argument in
        ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars", "--no-proxy-server"]
    {
        capabilities.add_arg(argument)?;
    }
    capabilities.add_arg(&format!("--user-data-dir={}", profile.display()))?;
    capabilities.set("goog:loggingPrefs", json!({ "browser": "ALL" }))?;
    Ok(capabilities.into())
}

async fn connect(port: u16, capabilities: Capabilities) -> WebDriverResult<WebDriver> {
    // The first who needs it provides it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    WebDriver::builder(format!("http://127.0.0.1:{port}"), capabilities).client(client).connect().await
}
