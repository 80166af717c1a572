#[test]
fn tmp() {
    let b = crate::support::browser::Browser::start();
    b.open("http://127.0.0.1:18765/");
    b.until_text("#status-line", |t| t == "All is well");
    eprintln!("{:?} {:?}", b.complaints(), b.violations());
    eprintln!("{}", b.barriers());
    b.prefer("dark");
    eprintln!("{}", b.barriers());
    eprintln!("{:?} {:?}", b.complaints(), b.violations());
}
