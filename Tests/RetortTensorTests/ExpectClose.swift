import RetortTensor
import Testing

/// - Parameter limit: the largest difference, as a share of the largest value.
func expectClose(_ result: Tensor, _ exact: Tensor, within limit: Float) throws {
    #expect(result.shape == exact.shape)
    let (ours, theirs) = (try result.floats(), try exact.floats())
    let largest = theirs.reduce(0) { max($0, abs($1)) }
    for (a, b) in zip(ours, theirs) { #expect(abs(a - b) <= limit * largest) }
}
