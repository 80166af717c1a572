//! Which right a user lacks. RabbitMQ says so from 3.11 on; before, it only names the queue or exchange.

/// A right that RabbitMQ has refused, in words: `read on queue 'github-events.load'`. None if `reason` is about something else, such as
/// a wrong password.
///
/// `operation` is our own, and `object` is the object that was being declared, such as `queue github-events.load`.
pub(super) fn lacking(operation: &str, object: &str, reason: &str) -> Option<String> {
    let (before, behind) = reason.split_once("access to ")?;
    let resource = behind.split(" in vhost").next()?;
    let said = before.split_whitespace().last().unwrap_or_default();
    let right = match said {
        // RabbitMQ names the first of them only.
        _ if operation == "look for a queue" => "configure, write or read",
        "configure" | "write" | "read" => said,
        _ => guessed(operation, object, resource),
    };
    Some(format!("{right} on {resource}"))
}

/// The right that `operation` needs on `resource` (<https://www.rabbitmq.com/docs/access-control#authorisation>).
fn guessed(operation: &str, object: &str, resource: &str) -> &'static str {
    let is_exchange = resource.starts_with("exchange");
    if operation.contains("bind") || object.starts_with("binding") {
        return if is_exchange { "read" } else { "write" };
    }
    if operation.starts_with("declare") {
        // An exchange that a queue or exchange hands messages to. Reading from an object of one's own is a right, too.
        return match object.is_empty() || resource.replace('\'', "") == object {
            true => "configure or read",
            false => "write",
        };
    }
    match operation {
        "publish" | "tell status" | "save the fetcher's memory" => "write",
        "delete the archive" => "configure",
        _ if resource.ends_with(".reader'") => "configure",
        _ => "read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_is_the_one_that_rabbitmq_names_or_that_the_operation_needs() {
        let on = |kind: &str, right: &str| {
            format!("ACCESS_REFUSED - {right}access to {kind} 'ns.x' in vhost '/' refused for user 'u'")
        };
        for (operation, object, reason, told) in [
            ("consume", "", on("queue", "configure "), "configure on queue 'ns.x'"),
            ("consume", "", on("queue", ""), "read on queue 'ns.x'"),
            ("look for a queue", "", on("queue", "configure "), "configure, write or read on queue 'ns.x'"),
            ("publish", "", on("exchange", ""), "write on exchange 'ns.x'"),
            (
                "declare queues and exchanges",
                "queue ns.x",
                on("queue", ""),
                "configure or read on queue 'ns.x'",
            ),
            ("declare queues and exchanges", "queue ns.y", on("exchange", ""), "write on exchange 'ns.x'"),
            (
                "declare queues and exchanges",
                "binding of ns.x to ns.y",
                on("queue", ""),
                "write on queue 'ns.x'",
            ),
            ("unbind the archive", "", on("exchange", ""), "read on exchange 'ns.x'"),
        ] {
            assert_eq!(lacking(operation, object, &reason).as_deref(), Some(told));
        }
        let reader = on("queue", "").replace("ns.x", "ns.load.dead.reader");
        assert_eq!(
            lacking("take messages", "", &reader).unwrap(),
            "configure on queue 'ns.load.dead.reader'"
        );
        let login = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN";
        assert_eq!(lacking("connect", "", login), None);
    }
}
