//! Text as on GitHub, including text that breaks careless programs: emoji, other scripts, quotes, escapes, markup.

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;

const TITLES: [&str; 16] = [
    "Fix panic when the config file is empty",
    "feat: support custom retry policies",
    "Bump serde from 1.0.228 to 1.0.229",
    "Update README.md",
    "Docs: clarify how \"strict\" mode works",
    "🐛 Crash on startup when $HOME is unset",
    "修复在 Windows 上的路径问题",
    "Поддержка IPv6 в клиенте",
    "refactor(core)!: drop the legacy scheduler",
    "Memory leak in watch mode (v2.3.1 → v2.4.0)",
    "CI: cache dependencies between jobs",
    "Add dark mode 🌙",
    "<script>alert('title')</script> is not escaped in the sidebar",
    "Flaky test: `reconnects_after_timeout`",
    "Améliorer l'accessibilité du menu déroulant",
    "Question: why does C:\\temp\\new.txt fail to open?",
];

const SENTENCES: [&str; 24] = [
    "Thanks for the report, I can reproduce this on the latest main.",
    "This started after the last release; the release before works fine.",
    "Could you share the full log, please?",
    "LGTM 👍",
    "The cache is invalidated on every request, so the second call is as slow as the first.",
    "I think we should handle this in the parser rather than patching every caller.",
    "See also the discussion in #1234 and the related change in #1250.",
    "```rust\nfn main() {\n    println!(\"hello, {}\", \"world\");\n}\n```",
    "Steps to reproduce:\n\n1. Start the server\n2. Send two requests at once\n3. Observe the error",
    "Das Problem tritt nur bei größeren Dateien auf – über 4 GiB.",
    "このバグは再現できませんでした。環境を教えてください 🙏",
    "| before | after |\n|---|---|\n| 120 ms | 35 ms |",
    "The path is C:\\Users\\build\\AppData\\Local\\Temp and it contains\ta tab.",
    "Output: \u{1b}[31merror\u{1b}[0m: could not compile `app` (lib) due to 2 previous errors",
    "It fails with `TypeError: Cannot read properties of undefined (reading 'map')`.",
    "<details><summary>Stack trace</summary>\n\n<pre>at Object.&lt;anonymous&gt;</pre>\n</details>",
    "> quoted from the mailing list\n\nI disagree: \"fast enough\" is not a number.",
    "Great work, everyone! 🎉🚀👩‍💻",
    "مرحبا، هل يمكن دعم اللغات من اليمين إلى اليسار؟",
    "We measured it: 3.2% of requests are affected, mostly behind a proxy.",
    "Closing as stale; please reopen if it still happens with the current version.",
    "- [x] tests\n- [x] documentation\n- [ ] changelog",
    "Signed-off-by: Ana Souza <ana@users.noreply.example.com>",
    "A zero-width\u{200b}space and a right-to-left override \u{202e}txt.exe were in the input.",
];

/// A line such as a title or a commit's subject.
pub(super) fn title(rng: &mut Xoshiro256PlusPlus) -> &'static str {
    TITLES[rng.random_range(0..TITLES.len())]
}

/// A text of one to three sentences, and then of as many more as make it at least `filler_bytes` longer.
pub(super) fn body(rng: &mut Xoshiro256PlusPlus, filler_bytes: usize) -> String {
    let mut text = String::with_capacity(filler_bytes + 512);
    for _ in 0..rng.random_range(1..=3) {
        push_sentence(&mut text, rng);
    }
    let enough = if filler_bytes == 0 { 0 } else { text.len() + filler_bytes };
    while text.len() < enough {
        push_sentence(&mut text, rng);
    }
    text
}

fn push_sentence(text: &mut String, rng: &mut Xoshiro256PlusPlus) {
    if !text.is_empty() {
        text.push_str(if rng.random_ratio(1, 4) { "\n\n" } else { " " });
    }
    text.push_str(SENTENCES[rng.random_range(0..SENTENCES.len())]);
}

/// A name for a branch, tag or wiki page.
pub(super) fn word(rng: &mut Xoshiro256PlusPlus) -> &'static str {
    const WORDS: [&str; 10] =
        ["parser", "docs", "ci", "login", "cache", "api-v2", "windows", "i18n", "retry", "dark-mode"];
    WORDS[rng.random_range(0..WORDS.len())]
}

/// A commit's SHA: 40 hexadecimal digits.
pub(super) fn sha(rng: &mut Xoshiro256PlusPlus) -> String {
    format!("{:032x}{:08x}", rng.random::<u128>(), rng.random::<u32>())
}
