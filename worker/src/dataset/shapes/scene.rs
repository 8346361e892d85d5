//! Puts one image together: background, clutter, the object, what hides it, and noise.
//!
//! Random numbers are drawn in a fixed order. The figures below were chosen by looking at sheets of images and
//! at the accuracy that a ResNet-20 reaches: a person tells most classes, and a network does not tell all.

use super::dice::Dice;
use super::figure::{Figure, Vector, length, segment};
use super::{CLASSES, SIDE};

/// A colour, channels in 0 to 1.
type Colour = [f32; 3];

/// Least distance between the colours of object and background, of 1.73 between black and white.
const CONTRAST_MIN: f32 = 0.45;

/// Bars that may lie across the object: up to this many, each as likely as none.
const BARS_IN_FRONT: u32 = 1;

/// Small figures beside or behind the object: up to this many. The class is that of the largest one.
const DECOYS: u32 = 2;

/// A decoy's radius in pixels, well below that of the object.
const DECOY_RADIUS: Vector = [1.8, 3.2];

/// The object's radius in pixels. Below 5 the notches of a star are gone.
const RADIUS: Vector = [5.5, 10.5];

/// Draws an image of class `label` into `pixels`, `[3, SIDE, SIDE]`.
pub(super) fn draw(dice: &mut Dice, label: u8, pixels: &mut [u8]) {
    let mut canvas = Canvas([[0.0; 3]; SIDE * SIDE]);
    let ground = background(dice, &mut canvas);
    clutter(dice, &mut canvas);
    object(dice, label, ground, &mut canvas);
    for _ in 0..dice.below(BARS_IN_FRONT + 1) {
        bar(dice, &mut canvas, [0.8, 1.7]);
    }
    let contrast = dice.between(0.6, 1.0);
    let level = dice.between(0.0, 1.0 - contrast);
    let noise = dice.between(0.01, 0.06);
    let planes = pixels.chunks_exact_mut(SIDE * SIDE);
    for (channel, plane) in planes.enumerate() {
        for (byte, colour) in plane.iter_mut().zip(&canvas.0) {
            let value = level + contrast * colour[channel] + noise * dice.bell();
            *byte = (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        }
    }
}

/// Colours, row by row.
struct Canvas([Colour; SIDE * SIDE]);

impl Canvas {
    /// Mixes what `paint` says into each pixel: a colour and how much it covers.
    fn paint(&mut self, paint: impl Fn(Vector) -> (Colour, f32)) {
        for (index, under) in self.0.iter_mut().enumerate() {
            let centre = [(index % SIDE) as f32 + 0.5, (index / SIDE) as f32 + 0.5];
            let (colour, cover) = paint(centre);
            *under = mix(*under, colour, cover.clamp(0.0, 1.0));
        }
    }
}

fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * share)
}

fn colour_distance(a: Colour, b: Colour) -> f32 {
    (0..3).map(|c| (a[c] - b[c]) * (a[c] - b[c])).sum::<f32>().sqrt()
}

/// A colour that stands out from `other`.
fn contrasting(dice: &mut Dice, other: Colour, least: f32) -> Colour {
    loop {
        let colour = dice.colour();
        // Every colour has a corner of the cube at least 0.86 away, so this ends.
        if colour_distance(colour, other) >= least {
            return colour;
        }
    }
}

/// A gradient between two colours; their middle is what the object must stand out from.
fn background(dice: &mut Dice, canvas: &mut Canvas) -> Colour {
    let from = dice.colour();
    let to = mix(from, dice.colour(), 0.5);
    let [dx, dy] = dice.direction();
    let middle = SIDE as f32 / 2.0;
    canvas.paint(|[x, y]| (mix(from, to, 0.5 + ((x - middle) * dx + (y - middle) * dy) / SIDE as f32), 1.0));
    mix(from, to, 0.5)
}

/// Pale blobs, thin bars and decoys: lines, edges and corners that do not tell the class.
fn clutter(dice: &mut Dice, canvas: &mut Canvas) {
    for _ in 0..dice.below(4) {
        let (colour, centre) = (dice.colour(), place(dice, 0.0));
        let (radius, strength) = (dice.between(2.0, 7.0), dice.between(0.1, 0.4));
        let [stretch, _] = dice.direction();
        canvas.paint(|[x, y]| {
            let p = [(x - centre[0]) * (1.0 + stretch * 0.6), (y - centre[1]) * (1.0 - stretch * 0.6)];
            (colour, (1.0 - length(p) / radius) * strength * 2.0)
        });
    }
    for _ in 0..dice.below(4) {
        bar(dice, canvas, [0.3, 0.9]);
    }
    for _ in 0..dice.below(DECOYS + 1) {
        decoy(dice, canvas);
    }
}

/// A small figure in one colour.
fn decoy(dice: &mut Dice, canvas: &mut Canvas) {
    let figure = match dice.below(3) {
        0 => Figure::Disc,
        1 => Figure::Square,
        _ => Figure::Triangle,
    };
    let (colour, centre, [cos, sin]) = (dice.colour(), place(dice, 2.0), dice.direction());
    let radius = dice.between(DECOY_RADIUS[0], DECOY_RADIUS[1]);
    canvas.paint(|[x, y]| {
        let (dx, dy) = ((x - centre[0]) / radius, (y - centre[1]) / radius);
        let turned = [cos * dx + sin * dy, cos * dy - sin * dx];
        (colour, 0.5 - figure.distance(turned) * radius)
    });
}

/// A straight bar somewhere, of a half-width between the two given.
fn bar(dice: &mut Dice, canvas: &mut Canvas, half_width: Vector) {
    let (colour, middle, [dx, dy]) = (dice.colour(), place(dice, 6.0), dice.direction());
    let (reach, half) = (dice.between(4.0, 18.0), dice.between(half_width[0], half_width[1]));
    let ends =
        [[middle[0] - dx * reach, middle[1] - dy * reach], [middle[0] + dx * reach, middle[1] + dy * reach]];
    canvas.paint(|p| (colour, half + 0.5 - segment(p, ends[0], ends[1])));
}

/// A place at least `margin` pixels from the border.
fn place(dice: &mut Dice, margin: f32) -> Vector {
    let far = SIDE as f32 - margin;
    [dice.between(margin, far), dice.between(margin, far)]
}

/// How the inside of an object is coloured.
#[derive(Clone, Copy)]
enum Texture {
    /// One colour, fading a little.
    Plain,
    Stripes,
    Checker,
    Dots,
}

/// The object that gives the image its class.
fn object(dice: &mut Dice, label: u8, ground: Colour, canvas: &mut Canvas) {
    let (figure, texture) = class(dice, label);
    let radius = dice.between(RADIUS[0], RADIUS[1]);
    let centre = place(dice, 9.0);
    let [cos, sin] = dice.direction();
    let [stretch, shear] = [dice.between(0.82, 1.22), dice.between(-0.2, 0.2)];
    let colour = contrasting(dice, ground, CONTRAST_MIN);
    let second = match texture {
        Texture::Plain => mix(colour, dice.colour(), 0.25),
        _ => contrasting(dice, colour, CONTRAST_MIN),
    };
    // In pixels, for a texture must be coarse enough for the grid whatever the object's size.
    let (period, phase) = (dice.between(4.0, 6.5), [dice.between(0.0, 6.5), dice.between(0.0, 6.5)]);
    canvas.paint(|[x, y]| {
        let (dx, dy) = (x - centre[0], y - centre[1]);
        let turned = [cos * dx + sin * dy, cos * dy - sin * dx];
        let local = [(turned[0] + shear * turned[1]) * stretch / radius, turned[1] / (stretch * radius)];
        let cover = 0.5 - figure.distance(local) * radius;
        let share = match texture {
            Texture::Plain => 0.5 + 0.5 * local[0],
            Texture::Stripes => 0.5 + 0.5 * band(turned[0] + phase[0], period),
            Texture::Checker => {
                0.5 + 0.5
                    * band(turned[0] + phase[0], period * 1.5)
                    * band(turned[1] + phase[1], period * 1.5)
            }
            Texture::Dots => {
                let from_dot = [turned[0] + phase[0], turned[1] + phase[1]].map(|u| to_middle(u, period));
                period * 0.3 + 0.5 - length(from_dot)
            }
        };
        (mix(colour, second, share.clamp(0.0, 1.0)), cover)
    });
}

/// Outline and texture of a class. The three textures come in any of three outlines, so that only they tell.
fn class(dice: &mut Dice, label: u8) -> (Figure, Texture) {
    let shape = dice.unit();
    let any = match (shape * 3.0) as u8 {
        0 => Figure::Disc,
        1 => Figure::Square,
        _ => Figure::Triangle,
    };
    match CLASSES.get(usize::from(label)).copied().unwrap_or_default() {
        "ring" => (Figure::Ring(0.35 + 0.3 * shape), Texture::Plain),
        "crescent" => (Figure::Crescent(0.35 + 0.3 * shape), Texture::Plain),
        "square" => (Figure::Square, Texture::Plain),
        "triangle" => (Figure::Triangle, Texture::Plain),
        "cross" => (Figure::Cross(0.28 + 0.2 * shape), Texture::Plain),
        "star" => (Figure::Star(0.45 + 0.17 * shape), Texture::Plain),
        "stripes" => (any, Texture::Stripes),
        "checker" => (any, Texture::Checker),
        "dots" => (any, Texture::Dots),
        _ => (Figure::Disc, Texture::Plain),
    }
}

/// +1 and -1 in turn, half a period each, with smooth edges one pixel wide.
fn band(u: f32, period: f32) -> f32 {
    ((period * 0.25 - to_middle(u, period).abs()) * 2.0).clamp(-1.0, 1.0)
}

/// Signed distance from the middle of the period in which `u` lies.
fn to_middle(u: f32, period: f32) -> f32 {
    let turns = u / period;
    (turns - turns.floor() - 0.5) * period
}
