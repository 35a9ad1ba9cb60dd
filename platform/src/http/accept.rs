//! Content negotiation by `Accept` (RFC 9110, 12.5.1), between the faces of one resource.

use axum::http::{HeaderMap, header};

/// The best of `offers` (media types, the preferred one first), or `None` when none is acceptable.
///
/// The most specific range decides an offer's quality; of equals the more specific, then the
/// earlier offer wins.
#[must_use]
pub fn choose_offer(headers: &HeaderMap, offers: &[&'static str]) -> Option<&'static str> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<MediaRange> =
        values.flat_map(|value| value.split(',')).filter_map(MediaRange::parse).collect();
    if ranges.is_empty() {
        return offers.first().copied();
    }
    let mut best = None;
    for offer in offers {
        let fit =
            ranges.iter().filter_map(|range| Some((range.specificity_for(offer)?, range.quality)));
        let Some((specificity, quality)) = fit.max_by_key(|(specificity, _)| *specificity) else {
            continue;
        };
        let rank = (quality, specificity);
        if quality > 0 && best.is_none_or(|(known, _)| rank > known) {
            best = Some((rank, *offer));
        }
    }
    best.map(|(_, offer)| offer)
}

struct MediaRange {
    kind: String,
    subtype: String,
    /// Thousandths.
    quality: u16,
}

impl MediaRange {
    /// `type/subtype;q=0.5`; parameters other than `q` are ignored, what is malformed is left out.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let (kind, subtype) = parts.next()?.trim().split_once('/')?;
        let mut quality = 1000;
        for parameter in parts {
            if let Some((name, value)) = parameter.split_once('=')
                && name.trim().eq_ignore_ascii_case("q")
            {
                let number: f32 = value.trim().parse().ok()?;
                quality = (number.clamp(0.0, 1.0) * 1000.0).round() as u16;
            }
        }
        let lower = |text: &str| text.trim().to_ascii_lowercase();
        Some(Self { kind: lower(kind), subtype: lower(subtype), quality })
    }

    /// How specifically the range names `offer`: 0 for `*/*` to 2 for itself.
    fn specificity_for(&self, offer: &str) -> Option<u8> {
        let (kind, subtype) = offer.split_once('/')?;
        match (self.kind.as_str(), self.subtype.as_str()) {
            ("*", "*") => Some(0),
            (k, "*") if k == kind => Some(1),
            (k, s) if k == kind && s == subtype => Some(2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_quality_wins_and_the_first_offer_of_equals() {
        let offers = ["application/json", "application/pdf"];
        let choice = |accept: &str| {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            choose_offer(&headers, &offers)
        };
        let (json, pdf) = (Some(offers[0]), Some(offers[1]));
        assert_eq!(choice(""), json);
        assert_eq!(choice("*/*"), json);
        assert_eq!(choice("application/*"), json);
        assert_eq!(choice("application/pdf"), pdf);
        assert_eq!(choice("application/PDF; q=0.3, text/html"), pdf);
        assert_eq!(choice("application/json;q=0.5, application/pdf;q=0.9"), pdf);
        assert_eq!(choice("application/pdf, */*"), pdf);
        assert_eq!(choice("application/pdf;q=0, */*"), json);
        assert_eq!(choice("application/json;q=0, */*;q=0.1"), pdf);
        assert_eq!(choice("text/html"), None);
        assert_eq!(choice("application/pdf;q=0"), None);
        assert_eq!(choice("nonsense"), json);
        assert_eq!(choice("application/pdf;q=nonsense"), json);
    }
}
