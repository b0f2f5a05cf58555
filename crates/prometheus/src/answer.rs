//! What Prometheus answers to an instant query.

use fleetwright_core::{Error, Kind, Quantity, Result};
use serde::Deserialize;
use serde_json::Value;

/// The body of a good answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Value,
}

/// An element of a vector. Native histograms have no `value`.
#[derive(Debug, Deserialize)]
struct Series {
    value: Option<Point>,
}

/// An instant and "a quoted JSON string", because JSON knows neither `NaN` nor `+Inf`.
#[derive(Debug, Deserialize)]
struct Point(
    #[expect(dead_code, reason = "it is always the present")] f64,
    String,
);

impl Answer {
    /// The one number.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Invalid` if there are several, or if it is no quantity.
    pub(crate) fn quantity(self) -> Result<Quantity> {
        let Data {
            result_type,
            result,
        } = self.data;
        match result_type.as_str() {
            "vector" => {
                let mut series: Vec<Series> = read(result)?;
                match (series.pop(), series.len()) {
                    (None, _) => Err(Error::new(Kind::NotFound, "the query found nothing")
                        .with_hint("if nothing means none, add `or vector(0)` to the query")),
                    (Some(Series { value: Some(point) }), 0) => point.quantity(),
                    (Some(Series { value: None }), 0) => Err(Error::new(
                        Kind::Invalid,
                        "the query gives a histogram, not a number",
                    )
                    .with_hint("take a number out of it, such as `histogram_quantile(0.9, ...)`")),
                    (Some(_), more) => Err(Error::new(
                        Kind::Invalid,
                        format!("the query gives {} series, not one number", more + 1),
                    )
                    .with_hint("bring them together, with `sum(...)` or `max(...)`")),
                }
            }
            "scalar" => read::<Point>(result)?.quantity(),
            "matrix" => Err(Error::new(
                Kind::Invalid,
                "the query gives a range of values, not one number",
            )
            .with_hint("take out the `[...]`, or put `avg_over_time(...)` around it")),
            other => Err(Error::new(
                Kind::Invalid,
                format!("the query gives a {other}, not a number"),
            )),
        }
    }
}

impl Point {
    fn quantity(&self) -> Result<Quantity> {
        self.1.parse()
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        Error::new(Kind::Unexpected, "Prometheus answered with something else").with_source(error)
    })
}
