/// What can go wrong with tensors.
public enum TensorError: Error, CustomStringConvertible, Equatable {
    /// An error of libtorch, with its own message.
    case libtorch(String)
    /// Raw bytes whose number does not fit the shape.
    case wrongByteCount(expected: Int, found: Int, shape: [Int])
    /// A single value was requested of a tensor that has none or several.
    case notOneElement([Int])

    /// The error in words; libtorch's own where it comes from there.
    public var description: String {
        switch self {
        case .libtorch(let message): "libtorch: \(message)"
        case .wrongByteCount(let expected, let found, let shape):
            "a tensor of shape \(shape) takes \(expected) bytes, not \(found)"
        case .notOneElement(let shape): "a tensor of shape \(shape) is not a single value"
        }
    }
}
