//! A Query request: a form in which lists are written `Name.member.N[.Field]`, with N from 1.

use std::collections::BTreeMap;

/// The parameters of one request.
#[derive(Debug, Clone)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Accepts any bytes. Invalid UTF-8 becomes replacement characters.
    pub(crate) fn parse(body: &[u8]) -> Query {
        Query(form_urlencoded::parse(body).into_owned().collect())
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A list of plain values, ordered by number.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.numbered(name).into_values().filter_map(|fields| fields.get("").copied()).collect()
    }

    /// A list of structures, ordered by number.
    pub(crate) fn structures(&self, name: &str) -> Vec<BTreeMap<&str, &str>> {
        self.numbered(name).into_values().collect()
    }

    fn numbered(&self, name: &str) -> BTreeMap<u32, BTreeMap<&str, &str>> {
        let mut members: BTreeMap<u32, BTreeMap<&str, &str>> = BTreeMap::new();
        let prefix = format!("{name}.member.");
        for (key, value) in &self.0 {
            let Some(rest) = key.strip_prefix(&prefix) else { continue };
            let (number, field) = rest.split_once('.').unwrap_or((rest, ""));
            if let Ok(number) = number.parse() {
                members.entry(number).or_default().insert(field, value);
            }
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let query =
            Query::parse(b"T.member.10.Id=c&T.member.2.Id=b&T.member.1.Id=a&T.member.1.Port=80&N.member.1=x");
        let ids: Vec<_> = query.structures("T").iter().map(|fields| fields["Id"]).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        assert_eq!(query.structures("T")[0]["Port"], "80");
        assert_eq!(query.list("N"), ["x"]);
    }
}
