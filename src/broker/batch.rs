//! A batch that is being published: which messages go next, which came back, which are too large. Pure.

use super::Outgoing;

/// Messages and bytes that wait for their confirms at once. This bounds memory, and more does not make RabbitMQ faster.
const WINDOW_MESSAGES: usize = 1024;
const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// A message that is larger than RabbitMQ takes. A retry cannot help.
#[derive(Debug, thiserror::Error)]
#[error(
    "message '{}' of {} bytes is larger than RabbitMQ takes: {reason}; raise max_message_size in rabbitmq.conf",
    message.envelope.message_id(), message.body.len()
)]
pub struct TooLarge<'a> {
    pub message: &'a Outgoing,
    pub reason: String,
}

/// The messages of a batch that are not confirmed yet, in passes over windows.
pub(super) struct PublishBatch<'a> {
    /// The messages of this pass, in order.
    messages: Vec<&'a Outgoing>,
    /// How many of them are settled.
    done: usize,
    /// Messages that came back. The next pass publishes them again.
    failed: Vec<&'a Outgoing>,
    too_large: Vec<TooLarge<'a>>,
    /// So many of the next messages go one by one: one of them is too large, and RabbitMQ does not say which.
    singly: usize,
    /// The last window was not stored whole, so the next window is a single message. Otherwise, while one queue refuses messages,
    /// the others would fill up with repetitions.
    is_careful: bool,
}

impl<'a> PublishBatch<'a> {
    pub(super) fn new(messages: &'a [Outgoing]) -> Self {
        Self {
            messages: messages.iter().collect(),
            done: 0,
            failed: Vec::new(),
            too_large: Vec::new(),
            singly: 0,
            is_careful: false,
        }
    }

    /// The messages to publish next. They fit the window's limits, unless a single message does not. Empty when the pass is over.
    pub(super) fn window(&self) -> &[&'a Outgoing] {
        let rest = &self.messages[self.done..];
        let most = rest.len().min(if self.singly > 0 || self.is_careful { 1 } else { WINDOW_MESSAGES });
        let mut bytes = 0;
        let fits = rest.iter().take(most).take_while(|message| {
            bytes += message.body.len();
            bytes <= WINDOW_BYTES
        });
        &rest[..fits.count().max(most.min(1))]
    }

    /// The window is stored, except for `failed`.
    pub(super) fn settle(&mut self, failed: Vec<&'a Outgoing>) {
        let settled = self.window().len();
        self.done += settled;
        self.singly = self.singly.saturating_sub(settled);
        let is_refused_again = self.is_careful && !failed.is_empty();
        self.is_careful = is_refused_again;
        self.failed.extend(failed);
        if is_refused_again {
            // The other messages would be refused too: they are left for the next pass.
            self.failed.extend(self.messages.drain(self.done..));
        }
    }

    /// RabbitMQ found a message in the window too large, and has confirmed none of the window. If the window is a single
    /// message, that one is too large. Of several, some may already be stored; each is published at most once more.
    pub(super) fn narrow(&mut self, reason: String) {
        match *self.window() {
            [message] => {
                self.too_large.push(TooLarge { message, reason });
                self.settle(Vec::new());
            }
            ref several => self.singly = several.len(),
        }
    }

    /// The window is not confirmed, for a reason that is not in its messages.
    pub(super) fn fail(&mut self) {
        self.is_careful = true;
    }

    /// How many messages came back in this pass, and how many the pass had.
    pub(super) fn failed(&self) -> (usize, usize) {
        (self.failed.len(), self.messages.len())
    }

    /// Begins another pass, over the messages that came back.
    pub(super) fn again(&mut self) {
        self.messages = std::mem::take(&mut self.failed);
        self.done = 0;
        self.is_careful = true;
    }

    /// The messages that RabbitMQ has not taken. Ends the batch.
    pub(super) fn into_too_large(self) -> Vec<TooLarge<'a>> {
        self.too_large
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Envelope, Route};
    use super::*;

    fn message(bytes: usize) -> Outgoing {
        Outgoing { route: Route::Queue("q".into()), body: vec![0; bytes], envelope: Envelope::json("test") }
    }

    /// Publishes a batch to a RabbitMQ with this limit; returns the sizes of the windows, the stored and the refused messages.
    fn publish(messages: &[Outgoing], limit: usize) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
        let (mut windows, mut stored) = (Vec::new(), Vec::new());
        let mut batch = PublishBatch::new(messages);
        while !batch.window().is_empty() {
            let sizes: Vec<_> = batch.window().iter().map(|message| message.body.len()).collect();
            windows.push(sizes.len());
            stored.extend(sizes.iter().take_while(|size| **size <= limit));
            match sizes.iter().any(|size| *size > limit) {
                true => batch.narrow("too large".into()),
                false => batch.settle(Vec::new()),
            }
        }
        let refused = batch.into_too_large().iter().map(|refused| refused.message.body.len()).collect();
        (windows, stored, refused)
    }

    #[test]
    fn windows_are_bounded_by_count_and_bytes_and_lose_nothing() {
        let small: Vec<_> = (0..2600).map(|_| message(10)).collect();
        let big: Vec<_> = (0..5).map(|_| message(3 * 1024 * 1024)).collect();
        let huge = [message(9 * 1024 * 1024), message(1)];
        let lengths = |messages: &[Outgoing]| publish(messages, usize::MAX).0;
        assert_eq!(lengths(&small), [1024, 1024, 552]);
        assert_eq!(lengths(&big), [2, 2, 1]);
        assert_eq!(lengths(&huge), [1, 1]);
        assert_eq!(lengths(&[]), [0; 0]);
    }

    #[test]
    fn what_is_too_large_is_found_alone_and_the_rest_goes_twice_at_most() {
        let messages: Vec<_> = [1, 2, 90, 3, 91, 4].map(message).into();
        let (windows, stored, refused) = publish(&messages, 50);
        assert_eq!(windows, [6, 1, 1, 1, 1, 1, 1]);
        assert_eq!(stored, [1, 2, 1, 2, 3, 4]);
        assert_eq!(refused, [90, 91]);
    }

    #[test]
    fn only_the_window_with_something_too_large_is_published_one_by_one() {
        let mut messages: Vec<_> = (0..2400).map(|_| message(10)).collect();
        messages[1200] = message(90);
        let (windows, stored, refused) = publish(&messages, 50);
        assert_eq!((&windows[..3], &windows[windows.len() - 2..]), (&[1024, 1024, 1][..], &[1, 352][..]));
        assert_eq!((windows.len(), stored.len()), (1 + 1 + 1024 + 1, 2399 + 176));
        assert_eq!(refused, [90]);
    }

    #[test]
    fn what_came_back_goes_again_and_nothing_else() {
        let messages: Vec<_> = (0..1200).map(message).collect();
        let mut batch = PublishBatch::new(&messages);
        batch.settle(vec![&messages[7]]);
        batch.settle(vec![&messages[1100]]);
        assert!(batch.window().is_empty());
        assert_eq!(batch.failed(), (2, 1200));
        batch.again();
        let sizes = |batch: &PublishBatch| {
            batch.window().iter().map(|message| message.body.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&batch), [7], "first one alone");
        batch.settle(Vec::new());
        assert_eq!(sizes(&batch), [1100]);
        batch.settle(Vec::new());
        assert_eq!(batch.failed(), (0, 2));
    }

    #[test]
    fn while_the_first_message_is_refused_again_the_others_are_not_published() {
        let messages: Vec<_> = (0..100).map(message).collect();
        let mut batch = PublishBatch::new(&messages);
        batch.settle(messages.iter().collect());
        for _ in 0..3 {
            batch.again();
            assert_eq!(batch.window().len(), 1);
            batch.settle(vec![&messages[0]]);
            assert!(batch.window().is_empty());
            assert_eq!(batch.failed().0, 100);
        }
        batch.again();
        batch.settle(Vec::new());
        assert_eq!(batch.window().len(), 99);
    }

    #[test]
    fn a_window_that_was_not_confirmed_is_tried_with_one_message_before_the_rest_follows() {
        let messages: Vec<_> = (0..100).map(message).collect();
        let mut batch = PublishBatch::new(&messages);
        let lengths: Vec<_> = (0..3)
            .map(|_| {
                let length = batch.window().len();
                batch.fail();
                length
            })
            .collect();
        assert_eq!(lengths, [100, 1, 1]);
        batch.settle(Vec::new());
        assert_eq!(batch.window().len(), 99);
    }
}
