//! What a gateway serves, and how it wants its images: asked once, before the first image is sent.

use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use weir_shared::arch::Shape;
use weir_shared::images;

use super::infer::InferError;

/// A gateway answers these questions from memory.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A network as its gateway describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Name in URLs.
    pub name: String,
    /// Shape of one image.
    pub image: Shape,
    /// Logits per image.
    pub classes: usize,
    /// Names of the classes, where the gateway knows them.
    pub labels: Option<Vec<String>>,
    /// Mean of each channel.
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub standard_deviation: [f32; 3],
    /// To how many pixels the shorter side of a photograph is brought.
    pub shorter_side: u32,
    /// The most images in one request.
    pub max_batch: usize,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct TensorMetadata {
    shape: Vec<i64>,
}

#[derive(Default, Deserialize)]
struct Parameters {
    labels: Option<String>,
    mean: Option<String>,
    standard_deviation: Option<String>,
    shorter_side: Option<u32>,
    max_batch: Option<usize>,
}

#[derive(Deserialize)]
struct Indexed {
    name: String,
}

/// The gateway's address, from `http://host:port` or `host:port`.
///
/// # Errors
/// If it is neither.
pub fn address(text: &str) -> Result<String, InferError> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let bad = || InferError::Address { address: text.to_owned() };
    let url = Url::parse(&format!("http://{bare}/")).map_err(|_| bad())?;
    if bare.contains('/') || url.host_str().is_none() {
        return Err(bad());
    }
    Ok(bare.to_owned())
}

impl Model {
    /// Asks the gateway at `address` what it serves.
    ///
    /// # Errors
    /// If it does not answer, or serves nothing that fits.
    pub async fn ask(address: &str) -> Result<Self, InferError> {
        let bad = |_| InferError::Address { address: address.to_owned() };
        let url = Url::parse(&format!("http://{address}/")).map_err(bad)?;
        let http =
            reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(InferError::Client)?;
        let at = |path: &str| {
            let mut url = url.clone();
            url.set_path(path);
            url
        };
        let silent = |source| InferError::Silent { address: address.to_owned(), source };
        let stranger = || InferError::Stranger { address: address.to_owned() };
        let index = http.post(at("/v2/repository/index")).send().await.map_err(silent)?;
        let index: Vec<Indexed> = index.json().await.map_err(|_| stranger())?;
        let name = index.into_iter().next().ok_or_else(stranger)?.name;
        let found = http.get(at(&format!("/v2/models/{name}"))).send().await.map_err(silent)?;
        let found: Value = found.json().await.map_err(|_| stranger())?;
        Self::read(found).ok_or_else(stranger)
    }

    fn read(metadata: Value) -> Option<Self> {
        let Metadata { name, inputs, outputs, parameters } = serde_json::from_value(metadata).ok()?;
        let [_, channels, height, width] = *inputs.first()?.shape.as_slice() else {
            return None;
        };
        let side = |side: i64| u32::try_from(side).ok().filter(|side| (1..=1 << 14).contains(side));
        let image = Shape::new(side(channels)?, side(height)?, side(width)?);
        let labels = parameters.labels.map(|labels| labels.lines().map(str::to_owned).collect());
        // A gateway that says nothing has the networks of the field, which are all normalised alike.
        let three = |text: Option<String>, usual| text.map_or(Some(usual), |text| numbers(&text));
        Some(Self {
            name,
            image,
            classes: usize::try_from(*outputs.first()?.shape.last()?).ok()?,
            labels,
            mean: three(parameters.mean, images::MEAN)?,
            standard_deviation: three(parameters.standard_deviation, images::STANDARD_DEVIATION)?,
            shorter_side: parameters.shorter_side.unwrap_or(image.height.max(image.width)).min(1 << 14),
            max_batch: parameters.max_batch.unwrap_or(1).max(1),
        })
    }

    /// What class `index` is called; its number where nobody knows.
    pub fn label(&self, index: usize) -> String {
        let known = self.labels.as_ref().and_then(|labels| labels.get(index));
        known.map_or_else(|| format!("class {index}"), Clone::clone)
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self {
            name: "resnet20".to_owned(),
            image: Shape::new(3, 32, 32),
            classes: 10,
            labels: None,
            mean: images::MEAN,
            standard_deviation: images::STANDARD_DEVIATION,
            shorter_side: 32,
            max_batch: 8,
        }
    }
}

/// `0.485,0.456,0.406`
fn numbers(text: &str) -> Option<[f32; 3]> {
    let numbers: Vec<f32> = text.split(',').map(|one| one.trim().parse().ok()).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_scheme() {
        for text in ["http://127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080/"] {
            assert_eq!(address(text).unwrap(), "127.0.0.1:8080");
        }
        for text in ["", "https://host:1", "host:1/v2", "host:port"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn metadata_of_this_release_and_of_another_are_understood() {
        let bare = json!({ "name": "resnet50", "inputs": [{ "shape": [-1, 3, 224, 224] }],
            "outputs": [{ "shape": [-1, 1000] }] });
        let model = Model::read(bare.clone()).unwrap();
        assert_eq!((model.classes, model.shorter_side, model.max_batch), (1000, 224, 1));
        assert_eq!(model.label(3), "class 3");
        let mut told = bare;
        told["parameters"] = json!({ "labels": "a\nb, c", "mean": "0,0,0", "standard_deviation": "1,1,0.5", "shorter_side": 256 });
        let model = Model::read(told.clone()).unwrap();
        assert_eq!((model.label(1), model.shorter_side), ("b, c".to_owned(), 256));
        assert_eq!(model.standard_deviation, [1.0, 1.0, 0.5]);
        told["parameters"]["mean"] = json!("1");
        assert_eq!(Model::read(told), None);
    }
}
