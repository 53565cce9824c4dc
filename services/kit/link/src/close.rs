//! Close codes in ranges: an agent obeys a code that it has never heard of by its range.

/// What an agent does after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obey {
    /// 4000-4099: something must be changed by people; try again only every few minutes.
    Stop,
    /// 4100-4199: wait for `retry_after_ms` or the usual growing pause, with full jitter.
    BackOff,
    /// 4200-4299: connect again at once (with a little jitter); nothing is wrong.
    ReconnectNow,
}

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $slug:literal),+ $(,)?) => {
        /// Why an edge closed the link.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum CloseCode { $($(#[$doc])* $name = $code),+ }

        impl CloseCode {
            /// Every code, for the protocol document's test.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word that stands in the close reason and in logs.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug),+ }
            }
        }
    };
}

close_codes! {
    /// The token is missing, forged, expired, for another audience, or names another unit.
    BadToken = 4001 "bad-token",
    /// No common version of the protocol.
    VersionUnsupported = 4002 "version-unsupported",
    /// A newer connection of the same unit took over.
    Superseded = 4003 "superseded",
    /// HELLO did not come in time.
    HelloTimeout = 4100 "hello-timeout",
    /// A frame that is no frame: not JSON, wrong types, out of order, or before HELLO.
    ProtocolError = 4101 "protocol-error",
    /// A frame above its limit.
    FrameTooLarge = 4102 "frame-too-large",
    /// The edge has no place just now; `retry_after_ms` stands in the reason.
    Overloaded = 4103 "overloaded",
    /// Kafka did not confirm what this link sent; nothing after it was acknowledged.
    LogUnavailable = 4104 "log-unavailable",
    /// The agent went silent.
    Silent = 4105 "silent",
    /// Facts of an epoch lower than the unit's durable one.
    StaleEpoch = 4106 "stale-epoch",
    /// More in flight than the credits given.
    CreditsExceeded = 4107 "credits-exceeded",
    /// The edge is going away in good order.
    Draining = 4200 "draining",
    /// The edge lost the place it read the log from; a new connection finds it again.
    Resync = 4201 "resync",
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl Obey {
    /// What to do after `code`; codes outside our ranges (as 1006, a lost link) back off.
    #[must_use]
    pub const fn of(code: u16) -> Self {
        match code {
            4000..=4099 => Self::Stop,
            4200..=4299 => Self::ReconnectNow,
            _ => Self::BackOff,
        }
    }
}
