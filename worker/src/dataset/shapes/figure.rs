//! Outlines as signed distances: negative inside, in the units of the point given.
//!
//! A distance makes smooth edges without drawing at a higher resolution: a pixel's cover is how far its centre
//! lies inside. All figures have a radius of about 1 around the origin.

/// A point or a direction.
pub(super) type Vector = [f32; 2];

/// What an object looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Figure {
    /// A full disc.
    Disc,
    /// A disc with a hole of this radius.
    Ring(f32),
    /// A disc from which another, shifted by this much, was taken.
    Crescent(f32),
    /// A corner polygon.
    Square,
    Triangle,
    /// A plus with arms of this half-width.
    Cross(f32),
    /// Five points, with notches at this radius.
    Star(f32),
}

/// Corners of a regular pentagon: cosine and sine of 18, 90, 162, 234 and 306 degrees.
const PENTAGON: [Vector; 5] = [
    [0.951_056_5, 0.309_017],
    [0.0, 1.0],
    [-0.951_056_5, 0.309_017],
    [-0.587_785_25, -0.809_017],
    [0.587_785_25, -0.809_017],
];

impl Figure {
    /// Signed distance of `p` from the outline.
    pub(super) fn distance(self, p: Vector) -> f32 {
        match self {
            Self::Disc => length(p) - 1.0,
            Self::Ring(hole) => (length(p) - 1.0).max(hole - length(p)),
            Self::Crescent(shift) => (length(p) - 1.0).max(0.85 - length([p[0] - shift, p[1]])),
            // Side 1.7 and a corner at 1.25 give areas near that of the disc, so that size tells nothing.
            Self::Square => boxed(p, [0.87, 0.87]),
            Self::Triangle => polygon(p, &[[-1.05, -0.8], [1.05, -0.8], [0.0, 1.15]]),
            Self::Cross(arm) => boxed(p, [1.1, arm]).min(boxed(p, [arm, 1.1])),
            Self::Star(notch) => {
                // A notch lies opposite the corner that is two further round.
                let corner = |i: usize| {
                    let point = PENTAGON[(i / 2) % 5];
                    let opposite = PENTAGON[(i / 2 + 3) % 5];
                    if i.is_multiple_of(2) {
                        [point[0] * 1.2, point[1] * 1.2]
                    } else {
                        [-opposite[0] * notch, -opposite[1] * notch]
                    }
                };
                polygon(p, &std::array::from_fn::<Vector, 10, _>(corner))
            }
        }
    }
}

/// The Euclidean length.
pub(super) fn length(p: Vector) -> f32 {
    (p[0] * p[0] + p[1] * p[1]).sqrt()
}

/// Distance from the segment between `a` and `b`.
pub(super) fn segment(p: Vector, a: Vector, b: Vector) -> f32 {
    let (along, to) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let share = (dot(to, along) / dot(along, along).max(1e-6)).clamp(0.0, 1.0);
    length([to[0] - along[0] * share, to[1] - along[1] * share])
}

fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1]
}

/// Signed distance from a rectangle of these half sides.
fn boxed(p: Vector, half: Vector) -> f32 {
    let [x, y] = [p[0].abs() - half[0], p[1].abs() - half[1]];
    length([x.max(0.0), y.max(0.0)]) + x.max(y).min(0.0)
}

/// Signed distance from a closed polygon: nearest edge, and the parity of edges crossed by a ray.
fn polygon(p: Vector, corners: &[Vector]) -> f32 {
    let (mut nearest, mut inside) = (f32::MAX, false);
    for (i, &a) in corners.iter().enumerate() {
        let b = corners[(i + 1) % corners.len()];
        nearest = nearest.min(segment(p, a, b));
        if (a[1] > p[1]) != (b[1] > p[1]) && p[0] < a[0] + (p[1] - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) {
            inside = !inside;
        }
    }
    if inside { -nearest } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_is_negative_and_far_away_is_the_distance() {
        let all = [Figure::Disc, Figure::Square, Figure::Triangle, Figure::Cross(0.35), Figure::Star(0.5)];
        for figure in all {
            assert!(figure.distance([0.0, 0.0]) < -0.2, "{figure:?}");
            let far = figure.distance([100.0, 0.0]);
            assert!((98.5..99.5).contains(&far), "{figure:?}: {far}");
        }
        assert!(Figure::Ring(0.5).distance([0.0, 0.0]) > 0.4);
        assert!(Figure::Crescent(0.6).distance([0.6, 0.0]) > 0.4);
    }

    #[test]
    fn a_star_has_five_points_and_five_notches() {
        let star = Figure::Star(0.5);
        for [x, y] in PENTAGON {
            assert!(star.distance([x, y]) < 0.0 && star.distance([-x * 0.7, -y * 0.7]) > 0.0);
        }
    }
}
