//! What a refused request is answered: problem details (RFC 9457).

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

/// Why a request was refused.
#[derive(Debug)]
pub(crate) enum Problem {
    NotFound,
    WrongMethod { allow: &'static str },
    Unauthorised,
    WrongType { found: String },
    WrongEncoding { found: String },
    BadEncoding,
    BadJson { detail: String },
    BadQuery { detail: String },
    WrongShape { detail: String },
    TooLarge { limit: u64 },
    TooSlow,
    Broken,
    Busy,
    Stopping,
    Internal,
}

impl Problem {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::WrongType { .. } | Self::WrongEncoding { .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::BadEncoding | Self::BadJson { .. } | Self::BadQuery { .. } | Self::Broken => {
                StatusCode::BAD_REQUEST
            }
            Self::WrongShape { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::NotFound => {
                "there is POST /api/analysis, GET /healthz, GET /metrics and GET /openapi.json"
                    .to_owned()
            }
            Self::WrongMethod { allow } => format!("this path takes {allow}"),
            Self::Unauthorised => {
                "send the service's token as `Authorization: Bearer …`".to_owned()
            }
            Self::WrongType { found } => format!(
                "the content type {found:?} is not known; send application/json, \
                 application/x-ndjson or text/plain"
            ),
            Self::WrongEncoding { found } => {
                format!("the content encoding {found:?} is not known; send gzip or none")
            }
            Self::BadEncoding => "the body is not valid gzip".to_owned(),
            Self::BadJson { detail } => format!("the body is not valid JSON: {detail}"),
            Self::BadQuery { detail } => format!("the query cannot be used: {detail}"),
            Self::WrongShape { detail } => format!("the request does not fit: {detail}"),
            Self::TooLarge { limit } => format!(
                "the body is larger than {limit} bytes (after decompression); send the end of the log"
            ),
            Self::TooSlow => "the body did not arrive in time; send it again".to_owned(),
            Self::Broken => "the body broke off; send it again".to_owned(),
            Self::Busy => "too many logs are being analysed; send it again shortly".to_owned(),
            Self::Stopping => "the service is stopping; send it again shortly".to_owned(),
            Self::Internal => {
                "the analysis could not be done; the service's log says why".to_owned()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self {
            Self::WrongMethod { allow } => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            Self::Unauthorised => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Busy | Self::Stopping => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            // The rest of such a body is not read, so the connection cannot be used again.
            Self::TooLarge { .. } | Self::TooSlow | Self::Broken => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
