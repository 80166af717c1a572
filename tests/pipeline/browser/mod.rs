//! The dashboard's page as a visitor sees it: a real browser, the real pipeline.

mod hostile;
mod looking;
mod outage;
mod sources;

use crate::support::browser::Browser;
use crate::support::corner::Corner;
use crate::support::dashboard::Dashboard;
use crate::support::wait::eventually;

/// A dashboard that is served, and a browser to look at it.
struct Visit {
    browser: Browser,
    dashboard: Dashboard,
}

impl Visit {
    /// A dashboard of a corner, with its page open.
    fn of(corner: &Corner) -> Self {
        Self::at(corner, &corner.amqp_url)
    }

    /// The same; the dashboard finds RabbitMQ at another address.
    fn at(corner: &Corner, amqp_url: &str) -> Self {
        let dashboard = Dashboard::start_at(corner, amqp_url, &corner.redis_url, &[], &[]);
        let browser = Browser::start();
        browser.open(&format!("http://{}/", dashboard.address));
        Self { browser, dashboard }
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

    /// Waits until the dashboard listens to RabbitMQ.
    #[track_caller]
    fn until_ready(&self) {
        eventually("the dashboard is ready", || self.dashboard.get("/readyz").status == 200);
    }

    /// Asserts that the browser had nothing to complain about.
    #[track_caller]
    fn went_quietly(&self) {
        assert_eq!(self.browser.violations(), Vec::<String>::new(), "against the page's security policy");
        assert_eq!(self.browser.complaints(), Vec::<String>::new(), "on the browser's console");
    }
}
