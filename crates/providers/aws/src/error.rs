//! What AWS's answers mean: one table from status and code to kind, effect and reach.
//!
//! The status is looked at last: EC2 says "no capacity" with 500 and "too fast" with 503.
//! Codes: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use fleetwright_core::{Effect, Error, Kind, Scope};

/// Which call in which region an error came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    /// The action, as AWS calls it.
    pub(crate) action: &'static str,
    /// The region.
    pub(crate) region: &'a str,
}

impl<'a> At<'a> {
    pub(crate) const fn new(action: &'static str, region: &'a str) -> Self {
        Self { action, region }
    }

    /// Translates an error of the SDK. For `map_err`.
    pub(crate) fn error<E>(self, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let request_id = error
            .raw_response()
            .and_then(|raw| raw.headers().get("x-amzn-requestid"))
            .map(str::to_owned);
        let translated = translate(self, error)
            .with_context("action", self.action)
            .with_context("region", self.region);
        match request_id {
            Some(id) => translated.with_context("request-id", id),
            None => translated,
        }
    }

    /// An answer that lacks what it always has.
    pub(crate) fn lacking(self, what: &str) -> Error {
        Error::new(
            Kind::Unexpected,
            format!("the answer to `{}` has no {what}", self.action),
        )
        .with_context("region", self.region)
    }
}

fn translate<E>(at: At<'_>, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let action = at.action;
    match error {
        SdkError::ServiceError(context) => {
            let raw = context.raw();
            let status = raw.status().as_u16();
            let retry_after = raw
                .headers()
                .get("retry-after")
                .and_then(|text| text.parse().ok())
                .map(Duration::from_secs);
            let cause = context.into_err();
            let message = cause.message().unwrap_or_default().to_owned();
            let error = match cause.code() {
                Some(code) => service(action, status, code, &message),
                None => by_status(action, status),
            };
            match retry_after {
                Some(after) => error.with_retry_after(after),
                None => error,
            }
        }
        SdkError::ResponseError(context) => {
            let status = context.raw().status().as_u16();
            unreadable(
                action,
                status,
                cause_of(SdkError::<E, _>::ResponseError(context)),
            )
        }
        SdkError::TimeoutError(_) => {
            Error::new(Kind::Timeout, format!("no answer to `{action}` in time"))
        }
        SdkError::DispatchFailure(failure) => {
            let timeout = failure.is_timeout();
            dispatch(
                action,
                timeout,
                cause_of(SdkError::<E, _>::DispatchFailure(failure)),
            )
        }
        SdkError::ConstructionFailure(failure) => {
            let cause = cause_of(SdkError::<E, _>::ConstructionFailure(failure));
            if is_about_credentials(&*cause) {
                return no_credentials().with_source(cause);
            }
            Error::new(Kind::Invalid, format!("`{action}` cannot be written down"))
                .with_source(cause)
        }
        other => Error::new(Kind::Unexpected, format!("`{action}` failed")).with_source(
            other
                .into_source()
                .unwrap_or_else(|error| Box::new(io::Error::other(error.to_string()))),
        ),
    }
}

type Cause = Box<dyn StdError + Send + Sync>;

fn cause_of<E>(error: SdkError<E, HttpResponse>) -> Cause
where
    E: StdError + Send + Sync + 'static,
{
    error
        .into_source()
        .unwrap_or_else(|error| Box::new(io::Error::other(error.to_string())))
}

/// The request did not get an answer.
fn dispatch(action: &str, timeout: bool, cause: Cause) -> Error {
    if is_about_credentials(&*cause) {
        return no_credentials().with_source(cause);
    }
    if timeout && !never_connected(&*cause) {
        return Error::new(Kind::Timeout, format!("no answer to `{action}` in time"))
            .with_source(cause);
    }
    let (message, effect) = if never_connected(&*cause) {
        (
            format!("AWS cannot be reached for `{action}`"),
            Effect::None,
        )
    } else {
        (
            format!("the connection broke during `{action}`"),
            Effect::Unknown,
        )
    };
    Error::new(Kind::Unavailable, message)
        .with_effect(effect)
        .with_source(cause)
}

/// An answer that is no answer of AWS: half a body, a page of a proxy.
fn unreadable(action: &str, status: u16, cause: Cause) -> Error {
    let broke = chain(&*cause).any(|error| {
        error.is::<io::Error>() || error.to_string().contains("before message completed")
    });
    let (kind, message) = match status {
        _ if broke => (Kind::Unavailable, "the connection broke in the answer to"),
        429 => (Kind::RateLimited, "too many calls of"),
        500.. => (
            Kind::Unavailable,
            "something between here and AWS answered to",
        ),
        _ => (Kind::Unexpected, "an answer that makes no sense came to"),
    };
    let effect = if kind == Kind::RateLimited {
        Effect::None
    } else {
        Effect::Unknown
    };
    Error::new(kind, format!("{message} `{action}`"))
        .with_effect(effect)
        .with_context("status", status.to_string())
        .with_source(cause)
}

fn no_credentials() -> Error {
    Error::new(Kind::Auth, "there are no credentials for AWS").with_hint(
        "run `aws configure` or `aws sso login`, set `AWS_PROFILE`, or name a `profile` in the \
         provider's table",
    )
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn is_about_credentials(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(<dyn StdError>::is::<CredentialsError>)
}

/// Whether not even a connection came about: then nothing was sent.
fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| {
        let refused = cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
        // hyper-util's error type is not public in the SDK; its text is stable.
        refused || cause.to_string().contains("(Connect)")
    })
}

/// Whether AWS's code for an error is this one.
pub(crate) fn has_code(error: &Error, code: &str) -> bool {
    error.context().any(|known| known == ("code", code))
}

/// An error that is reported inside a successful answer: a fleet's, a group's activity.
pub(crate) fn reported(action: &'static str, code: &str, message: &str) -> Error {
    service(action, 200, code, message)
}

/// The table.
fn service(action: &str, status: u16, code: &str, message: &str) -> Error {
    let row = row(status, code, message);
    let text = if message.is_empty() {
        format!("`{action}` was refused with `{code}`")
    } else {
        message.trim_end_matches('.').to_owned()
    };
    let mut error = Error::new(row.kind, text)
        .with_effect(row.effect)
        .with_context("code", code);
    if let Some(scope) = row.scope {
        error = error.with_scope(scope);
    }
    let zones = zone_hints(message);
    if row.kind == Kind::Capacity && !zones.is_empty() {
        error = error.with_context(Error::ZONES, zones.join(", "));
    }
    match hint(code) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

struct Row {
    kind: Kind,
    effect: Effect,
    scope: Option<Scope>,
}

const fn no(kind: Kind) -> Row {
    Row {
        kind,
        effect: Effect::None,
        scope: None,
    }
}

const fn far(kind: Kind, scope: Scope) -> Row {
    Row {
        kind,
        effect: Effect::None,
        scope: Some(scope),
    }
}

const fn unsure(kind: Kind) -> Row {
    Row {
        kind,
        effect: Effect::Unknown,
        scope: None,
    }
}

/// Sentences are quoted from
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.
fn row(status: u16, code: &str, message: &str) -> Row {
    match code {
        // "There is not enough capacity to fulfill your request." Sent with status 500.
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientReservedInstanceCapacity"
        | "InsufficientCapacityOnOutpost"
        | "UnfulfillableCapacity"
        | "InsufficientCapacity"
        | "ReservationCapacityExceeded"
        // "Your Spot request price is lower than required Spot request fulfillment price."
        | "SpotMaxPriceTooLow"
        // "The specified subnet does not contain enough free private IP addresses."
        | "InsufficientFreeAddressesInSubnet" => far(Kind::Capacity, Scope::Zone),
        // "Your requested instance type is not supported in your requested Availability Zone."
        "Unsupported" | "UnsupportedOperation" | "InvalidFleetConfiguration"
            if is_about_place(message) =>
        {
            far(Kind::Capacity, Scope::Zone)
        }
        "Unsupported" | "UnsupportedOperation" => no(Kind::Invalid),

        // "You've reached the limit on the number of instances you can run concurrently."
        "InstanceLimitExceeded"
        | "VcpuLimitExceeded"
        | "MaxSpotInstanceCountExceeded"
        | "MaxSpotFleetRequestCountExceeded"
        | "MaxFleetCountExceeded"
        | "SpotFleetRequestCountExceeded"
        | "InsufficientVolumeCapacity"
        | "VolumeLimitExceeded"
        | "PrivateIpAddressLimitExceeded"
        | "LimitExceeded"
        | "LimitExceededException"
        | "TooManyTargets"
        | "TooManyRegistrationsForTargetId"
        | "TargetGroupAssociationLimit"
        | "ResourceLimitExceeded" => far(Kind::Quota, Scope::Region),

        // "The maximum request rate permitted by the Amazon EC2 APIs has been exceeded for your
        // account." Sent with status 503.
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "TooManyRequests"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        // SQS: too many messages are received and not deleted.
        | "OverLimit"
        | "KmsThrottled"
        | "SlowDown" => no(Kind::RateLimited),

        // "An internal error has occurred. Retry your request." Nobody says what it has done.
        "InternalError" | "InternalFailure" | "InternalServerError" | "ServerInternal"
        | "ServiceUnavailable" | "Unavailable" | "UnavailableException" => unsure(Kind::Unavailable),
        "RequestTimeout" | "RequestTimeoutException" => unsure(Kind::Timeout),

        // "AWS was not able to validate the provided access credentials." Never failed over.
        "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "InvalidAccessKeyId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        // "Your account is currently blocked." "You are not subscribed to this service."
        | "Blocked"
        | "OptInRequired"
        | "SubscriptionRequiredException"
        | "PendingVerification" => no(Kind::Auth),

        // "You are not authorized to perform this operation."
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" | "NotAuthorized"
        | "OperationNotPermitted" | "Client.UnauthorizedOperation" => no(Kind::Permission),

        // "The request uses the same client token as a previous, but non-identical request."
        "IdempotentParameterMismatch"
        | "AlreadyExists"
        | "InvalidLaunchTemplateName.AlreadyExistsException"
        | "ResourceInUse"
        | "IncorrectState"
        | "IncorrectInstanceState"
        | "ScalingActivityInProgress" => no(Kind::Conflict),
        // "Tried to delete resource record set … but it was not found", "… but the values provided
        // do not match the current values". Otherwise the change itself makes no sense.
        "InvalidChangeBatch" if is_about_state(message) => no(Kind::Conflict),
        // "The following targets are not in a running state and cannot be registered".
        "InvalidTarget" if message.contains("not in a running state") => no(Kind::Conflict),
        // "Instance ID 'i-…' is not valid."
        "InvalidTarget" if message.contains("is not valid") => no(Kind::NotFound),

        _ if is_not_found(code) => no(Kind::NotFound),

        _ if code.starts_with("Invalid")
            || code.starts_with("Missing")
            || code.starts_with("Malformed")
            || matches!(
                code,
                "UnknownParameter"
                    | "ValidationError"
                    | "ValidationException"
                    | "VPCIdNotSpecified"
                    | "DefaultVpcDoesNotExist"
                    | "NoSuchConfiguration"
                    | "ParameterVersionNotFound"
                    | "InstanceTypeNotSupported"
                    | "UnknownVolumeType"
            ) =>
        {
            no(Kind::Invalid)
        }
        _ => match status {
            429 => no(Kind::RateLimited),
            401 => no(Kind::Auth),
            403 => no(Kind::Permission),
            404 => no(Kind::NotFound),
            400..=499 => no(Kind::Invalid),
            500.. => unsure(Kind::Unavailable),
            _ => unsure(Kind::Unexpected),
        },
    }
}

/// "Your requested instance type (x) is not supported in your requested Availability Zone (y)."
fn is_about_place(message: &str) -> bool {
    message.contains("Availability Zone") || message.contains("availability zone")
}

/// Whether a change of records contradicts those that there are.
fn is_about_state(message: &str) -> bool {
    ["not found", "do not match", "already exists", "conflict"]
        .iter()
        .any(|words| message.contains(words))
}

/// What was named is not there. An image, a subnet, a key or a group that is not there makes a
/// request invalid; an instance, a fleet or a queue that is not there is gone.
fn is_not_found(code: &str) -> bool {
    matches!(
        code,
        "InvalidInstanceID.NotFound"
            | "InvalidFleetId.NotFound"
            | "FleetIdDoesNotExist"
            | "fleetIdDoesNotExist"
            | "fleetRequestIdDoesNotExist"
            | "InvalidSpotFleetRequestId.NotFound"
            | "InvalidLaunchTemplateId.NotFound"
            | "InvalidLaunchTemplateId.NotFoundException"
            | "InvalidLaunchTemplateName.NotFoundException"
            | "TargetGroupNotFound"
            | "LoadBalancerNotFound"
            | "NoSuchHostedZone"
            | "NoSuchChange"
            | "NoSuchResourceException"
            | "ParameterNotFound"
            | "QueueDoesNotExist"
            | "AWS.SimpleQueueService.NonExistentQueue"
    )
}

/// The way out, where the vendor's sentence does not say it.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "log in again (`aws sso login`), or check the clock of this machine"
        }
        "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidAccessKeyId" => {
            "check the access key and secret, and that the region is enabled for the account"
        }
        "OptInRequired" => {
            "subscribe to the image or service, or enable the region, in the console"
        }
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            "the guide on AWS shows a policy that suffices"
        }
        "VcpuLimitExceeded" | "InstanceLimitExceeded" | "MaxSpotInstanceCountExceeded" => {
            "ask for more under Service Quotas, Amazon EC2"
        }
        "VPCIdNotSpecified" | "DefaultVpcDoesNotExist" => {
            "this region has no default network: name `subnets` in the pool's options"
        }
        "InvalidKeyPair.NotFound" => {
            "`key_name` must be known in this region; the fleet's own key is put in without it"
        }
        _ => return None,
    })
}

/// An error without a code that could be read.
fn by_status(action: &str, status: u16) -> Error {
    let (kind, effect) = match status {
        429 => (Kind::RateLimited, Effect::None),
        401 => (Kind::Auth, Effect::None),
        403 => (Kind::Permission, Effect::None),
        500.. => (Kind::Unavailable, Effect::Unknown),
        _ => (Kind::Unexpected, Effect::Unknown),
    };
    Error::new(
        kind,
        format!("`{action}` was answered with status {status} and nothing that can be read"),
    )
    .with_effect(effect)
}

/// Zones that the capacity sentence names: "You can currently get g4dn.xlarge capacity by not
/// specifying an Availability Zone in your request or choosing eu-west-3a, eu-west-3c."
fn zone_hints(message: &str) -> Vec<String> {
    let Some((_, zones)) = message.split_once("or choosing ") else {
        return Vec::new();
    };
    let sentence = zones.split(". ").next().unwrap_or(zones);
    sentence
        .trim_end_matches('.')
        .split(", ")
        .map(|zone| zone.trim_start_matches("or ").trim().to_owned())
        .filter(|zone| !zone.is_empty())
        .collect()
}
