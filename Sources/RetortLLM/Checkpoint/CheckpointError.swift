/// A checkpoint's folder or file that cannot be used.
public enum CheckpointError: Error, CustomStringConvertible, Equatable {
    case missing(file: String)
    case truncated(file: String, String)
    case malformed(file: String, String)
    case noTensor(file: String, name: String)
    case wrongShape(file: String, name: String, expected: [Int], found: [Int])
    case unknownArchitecture(file: String, String)
    case unsupported(file: String, String)
    /// A setting that is not known, so that it cannot be known to change nothing.
    case unknownSetting(file: String, String)
    /// Weights in few bits.
    case quantised(file: String, kind: String)
    /// An adapter's base that is not here.
    case noBase(file: String, String)
    /// A base that is not the one an adapter was trained over.
    case otherBase(file: String, base: String, expected: String, found: String)
    /// An adapter that cannot be served beside others.
    case notBesideOthers(file: String, String)
    case notFinite(file: String, name: String)
    case template(file: String, String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path, and that the checkpoint is complete"
        case .truncated(let file, let what): "\(file) is cut short: \(what). Copy or download it again"
        case .malformed(let file, let what): "\(file) is damaged: \(what). Copy or download it again"
        case .noTensor(let file, let name): "\(file) has no tensor '\(name)', which its configuration calls for"
        case .wrongShape(let file, let name, let expected, let found):
            "\(file): '\(name)' has the shape \(found), but its configuration calls for \(expected)"
        case .unknownArchitecture(let file, let name):
            "\(file): the architecture '\(name)' is not known; known are "
                + DecoderConfiguration.knownArchitectures.joined(separator: ", ")
        case .unsupported(let file, let what): "\(file): \(what) is not supported"
        case .unknownSetting(let file, let name):
            "\(file): the setting '\(name)' is not known, and it may change what the model computes; "
                + "remove it if it does not"
        case .quantised(let file, let kind):
            "\(file): the weights are quantised (\(kind)), and only bfloat16, float16 and float32 are read; "
                + "take the checkpoint from before it was quantised"
        case .noBase(let file, let name):
            "\(file) names '\(name)' as its base model, which is no folder, no GGUF file and no model's name "
                + "that is on this machine; bring it with 'retort fetch NAME', or write its path into base_model_name_or_path"
        case .otherBase(let file, let base, let expected, let found):
            "\(file) was trained over a model with the SHA-256 \(expected.prefix(16))…, and \(base) has \(found.prefix(16))…; "
                + "name the file it was trained over in base_model_name_or_path"
        case .notBesideOthers(let file, let what):
            "\(file): \(what) cannot be served beside other adapters; serve the adapter's folder as a model of its own"
        case .notFinite(let file, let name):
            "\(file): '\(name)' holds numbers that are not finite; the training that made it has failed"
        case .template(let file, let reason): "\(file): \(reason)"
        }
    }
}
