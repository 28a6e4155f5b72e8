//! The `property` filter of list and event queries: a dotted path, an operator, a value.

use serde_json::Value;

use super::profiles::at;

/// One condition, such as `eventType="order.placement"` or `updateEpoch>=1700000000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    path: String,
    operator: &'static str,
    value: String,
}

/// Longer ones first, so that `<=` is not read as `<`.
const OPERATORS: [&str; 8] = ["==", "!=", "<=", ">=", "=", "<", ">", "~"];

impl Filter {
    /// Reads a condition; `None` when it has no operator.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let start = text.find(['=', '!', '<', '>', '~'])?;
        let (path, rest) = text.split_at_checked(start)?;
        let operator = OPERATORS
            .into_iter()
            .find(|operator| rest.starts_with(operator))?;
        let value = rest.strip_prefix(operator)?.trim();
        Some(Self {
            path: path.trim().to_owned(),
            operator,
            value: value.trim_matches('"').to_owned(),
        })
    }

    /// Tells whether `document` meets the condition. Numbers are compared as numbers, the rest as text.
    pub(super) fn matches(&self, document: &Value) -> bool {
        let found = match at(document, &self.path) {
            None | Some(Value::Null) => return self.operator == "!=",
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let order = match (found.parse::<f64>(), self.value.parse::<f64>()) {
            (Ok(found), Ok(value)) => found.total_cmp(&value),
            _ => found.as_str().cmp(self.value.as_str()),
        };
        match self.operator {
            "!=" => order.is_ne(),
            "<=" => order.is_le(),
            ">=" => order.is_ge(),
            "<" => order.is_lt(),
            ">" => order.is_gt(),
            "~" => found.contains(&self.value),
            _ => order.is_eq(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_compare_what_is_at_their_path() {
        let document = json!({
            "eventType": "order.placement",
            "evaluationInfo": {"continuous": {"enabled": true}},
            "epoch": 100,
        });
        let cases = [
            ("eventType=\"order.placement\"", true),
            ("eventType==order.view", false),
            ("eventType!=order.view", true),
            ("eventType~place", true),
            ("evaluationInfo.continuous.enabled=true", true),
            ("epoch>20", true),
            ("epoch<=100", true),
            ("epoch<100", false),
            ("missing=1", false),
            ("missing!=1", true),
        ];
        for (text, expected) in cases {
            let filter = Filter::parse(text).unwrap();

            assert_eq!(filter.matches(&document), expected, "{text}");
        }
        assert_eq!(Filter::parse("name"), None);
    }
}
