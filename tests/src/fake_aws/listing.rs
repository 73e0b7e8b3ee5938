//! `ListSecrets`: filters, order and pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

use super::labels::Secret;
use super::protocol::{Input, Refusal, constraint};

const LARGEST_PAGE: i64 = 100;

/// A filter is met if any of its texts is a prefix; case counts.
struct Filter {
    key: FilterKey,
    prefixes: Vec<String>,
}

enum FilterKey {
    Name,
    TagKey,
    TagValue,
}

#[derive(Clone, Copy)]
enum Order {
    NewestFirst,
    OldestFirst,
}

pub(super) fn page<'a>(
    secrets: impl Iterator<Item = &'a Secret>,
    mut input: Input,
) -> Result<Value, Refusal> {
    let filters = input.inputs("Filters")?.into_iter().map(Filter::parse);
    let filters: Vec<Filter> = filters.collect::<Result<_, _>>()?;
    let most = input.number("MaxResults")?.unwrap_or(LARGEST_PAGE);
    let token = input.text("NextToken")?;
    let with_deleted = input.flag("IncludePlannedDeletion")?;
    let order = match input.text("SortOrder")?.as_deref() {
        // AWS doesn't promise an order to those who ask for none.
        None | Some("desc") => Order::NewestFirst,
        Some("asc") => Order::OldestFirst,
        Some(_) => return Err(constraint("SortOrder", "Member must satisfy enum value set: [asc, desc]")),
    };
    input.nothing_else()?;
    if !(1..=LARGEST_PAGE).contains(&most) {
        return Err(constraint("MaxResults", "Member must have value between 1 and 100"));
    }
    let after = token.map(|token| order.last_of(&token)).transpose()?;
    let meets = |secret: &&Secret| {
        (with_deleted || secret.deletion.is_none()) && filters.iter().all(|filter| filter.met_by(secret))
    };
    let follows = |secret: &&Secret| after.is_none_or(|after| order.follows(secret.number, after));
    let mut found: Vec<&Secret> = secrets.filter(meets).filter(follows).collect();
    found.sort_by_key(|secret| secret.number);
    if let Order::NewestFirst = order {
        found.reverse();
    }
    let most = usize::try_from(most).expect("it is between 1 and 100");
    let more = most < found.len();
    found.truncate(most);
    let shown: Vec<Value> = found.iter().map(|secret| secret.described("SecretVersionsToStages")).collect();
    let mut output = json!({ "SecretList": shown });
    if let (true, Some(last)) = (more, found.last()) {
        output["NextToken"] = json!(order.token(last.number));
    }
    Ok(output)
}

impl Filter {
    fn parse(mut input: Input) -> Result<Self, Refusal> {
        let key = match input.required("Key")?.as_str() {
            "name" => FilterKey::Name,
            "tag-key" => FilterKey::TagKey,
            "tag-value" => FilterKey::TagValue,
            other => return Err(Refusal::validation(format!("the fake does not know the filter '{other}'"))),
        };
        let prefixes = input.texts("Values")?.unwrap_or_default();
        input.nothing_else()?;
        if prefixes.is_empty() || 10 < prefixes.len() || prefixes.iter().any(|text| text.starts_with('!')) {
            return Err(Refusal::validation("the fake knows filters of 1 to 10 values without '!'"));
        }
        Ok(Self { key, prefixes })
    }

    fn met_by(&self, secret: &Secret) -> bool {
        let begins = |text: &String| self.prefixes.iter().any(|prefix| text.starts_with(prefix));
        match self.key {
            FilterKey::Name => begins(&secret.name),
            FilterKey::TagKey => secret.tags.keys().any(begins),
            FilterKey::TagValue => secret.tags.values().any(begins),
        }
    }
}

impl Order {
    fn follows(self, number: u64, after: u64) -> bool {
        match self {
            Self::NewestFirst => number < after,
            Self::OldestFirst => after < number,
        }
    }

    fn token(self, last: u64) -> String {
        URL_SAFE.encode(format!("{}{last}", self.letter()))
    }

    fn last_of(self, token: &str) -> Result<u64, Refusal> {
        let decoded = URL_SAFE.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let last = decoded.and_then(|text| text.strip_prefix(self.letter())?.parse().ok());
        last.ok_or_else(|| Refusal::new("InvalidNextTokenException", "The NextToken value is invalid."))
    }

    fn letter(self) -> char {
        match self {
            Self::NewestFirst => 'n',
            Self::OldestFirst => 'o',
        }
    }
}
