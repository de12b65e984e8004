/// What can go wrong with tensors.
public enum TensorError: Error, CustomStringConvertible, Equatable {
    /// libtorch refused, in its own words.
    case libtorch(String)
    /// Raw bytes that do not fill the shape.
    case wrongByteCount(expected: Int, found: Int, shape: [Int])
    /// A single value was asked of a tensor that holds more or none.
    case notOneElement([Int])

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .libtorch(let message): "libtorch: \(message)"
        case .wrongByteCount(let expected, let found, let shape):
            "a tensor of shape \(shape) takes \(expected) bytes, not \(found)"
        case .notOneElement(let shape): "a tensor of shape \(shape) is not a single value"
        }
    }
}
