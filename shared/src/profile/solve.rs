//! Solves a symmetric positive definite system, in closed form.
//!
//! A thousand unknowns: a Cholesky factorisation takes a second at most, gives the same answer every time, and needs
//! no library.

/// Sums that do not wait for each other.
const LANES: usize = 8;

/// Solves `A x = b`; `lower` has the lower triangle of `A`, row by row.
pub(super) fn solve(mut lower: Vec<Vec<f64>>, b: &[f64]) -> Vec<f64> {
    let mut x = b.to_vec();
    // Golub and Van Loan, Matrix Computations, 4th edition, section 4.2.5: A = L Lᵀ, row by row.
    for row in 0..lower.len() {
        let (above, rest) = lower.split_at_mut(row);
        let Some(line) = rest.first_mut() else { break };
        for (column, pivot_line) in above.iter().enumerate() {
            line[column] = (line[column] - dot(&line[..column], &pivot_line[..column])) / pivot_line[column];
        }
        let square = line[row] - dot(&line[..row], &line[..row]);
        // Rounding may take a hair too much from a pivot that is all but zero.
        line[row] = square.max(1e-12).sqrt();
        x[row] = (x[row] - dot(&line[..row], &x[..row])) / line[row];
    }
    for row in (0..lower.len()).rev() {
        x[row] /= lower[row][row];
        let known = x[row];
        x.iter_mut().zip(&lower[row][..row]).for_each(|(x, factor)| *x -= factor * known);
    }
    x
}

/// The sum of products, in eight sums side by side: always in the same order, and fast.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_has_all_its_terms() {
        let numbers: Vec<f64> = (1..=21).map(f64::from).collect();
        for length in 0..=21 {
            let expected: f64 = numbers[..length].iter().map(|n| n * n).sum();
            assert!((dot(&numbers[..length], &numbers[..length]) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn a_system_is_solved() {
        let lower = vec![vec![4.0], vec![2.0, 5.0], vec![1.0, 3.0, 6.0]];
        let x = solve(lower, &[7.0, 10.0, 10.0]);
        assert!(x.iter().all(|x| (x - 1.0).abs() < 1e-12), "{x:?}");
    }
}
