//! The dashboard's page as a visitor sees it: a real browser, the real pipeline.

mod hostile;
mod looking;
mod outage;

use crate::support::browser::Browser;
use crate::support::corner::Corner;
use crate::support::program::Program;
use crate::support::redis_server::free_port;
use crate::support::status::get;
use crate::support::wait::eventually;

/// A dashboard that is served, and a browser to look at it.
struct Visit {
    browser: Browser,
    dashboard: Option<Program>,
    address: String,
    variables: Vec<(&'static str, String)>,
}

impl Visit {
    /// A dashboard of a corner, with its page open.
    fn of(corner: &Corner) -> Self {
        Self::at(corner, &corner.amqp_url)
    }

    /// The same; the dashboard finds RabbitMQ at another address.
    fn at(corner: &Corner, amqp_url: &str) -> Self {
        let mut visit = Self {
            browser: Browser::start(),
            dashboard: None,
            address: format!("127.0.0.1:{}", free_port()),
            variables: vec![
                ("AMQP_URL", amqp_url.to_owned()),
                ("REDIS_URL", corner.redis_url.clone()),
                ("ETL_NAMESPACE", corner.namespace.clone()),
            ],
        };
        visit.serve();
        visit.browser.open(&format!("http://{}/", visit.address));
        visit
    }

    /// Starts the dashboard, where it was before.
    fn serve(&mut self) {
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let dashboard = Program::start("dashboard", &variables, &["--listen", &self.address]);
        eventually("the dashboard answers", || get(&self.address, "/healthz").is_ok());
        self.dashboard = Some(dashboard);
    }

    /// Ends the dashboard; its page stays open.
    fn stop_serving(&mut self) {
        self.dashboard.take().expect("it runs").stop();
    }

    /// Waits until the line at the top says so.
    #[track_caller]
    fn until_it_says(&self, status: &str) {
        self.browser.until_text("#status-line", |line| line == status);
    }

    /// Waits until all is well.
    #[track_caller]
    fn until_well(&self) {
        self.until_it_says("All is well");
    }

    /// Asserts that the browser had nothing to complain about.
    #[track_caller]
    fn went_quietly(&self) {
        assert_eq!(self.browser.violations(), Vec::<String>::new(), "against the page's security policy");
        assert_eq!(self.browser.complaints(), Vec::<String>::new(), "on the browser's console");
    }
}
