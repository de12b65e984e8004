/// A checkpoint's folder or file that cannot be used.
public enum CheckpointError: Error, CustomStringConvertible, Equatable {
    /// The file cannot be read.
    case missing(file: String)
    /// The file is shorter than its header says.
    case truncated(file: String, String)
    /// The file's contents are invalid.
    case malformed(file: String, String)
    /// The file lacks a tensor that the configuration demands.
    case noTensor(file: String, name: String)
    /// The tensor does not have the shape that the configuration demands.
    case wrongShape(file: String, name: String, expected: [Int], found: [Int])
    /// A setting whose value is of another kind than the setting calls for.
    case wrongSetting(file: String, name: String, value: String, expected: String)
    /// The adapter's tensors and its settings do not belong together.
    case unfit(file: String, settings: String, String)
    /// No supported family has this architecture.
    case unknownArchitecture(file: String, String)
    /// A feature that is known but not supported.
    case unsupported(file: String, String)
    /// An unknown setting, which may therefore change the computation.
    case unknownSetting(file: String, String)
    /// Quantised weights.
    case quantised(file: String, kind: String)
    /// The base of an adapter that is not on this machine.
    case noBase(file: String, String)
    /// A base that is not the one an adapter was trained over.
    case otherBase(file: String, base: String, expected: String, found: String)
    /// An adapter that cannot be served together with others.
    case notBesideOthers(file: String, String)
    /// The tensor contains NaN or infinity.
    case notFinite(file: String, name: String)
    /// The chat template cannot be used, with the reason.
    case template(file: String, String)

    /// The file and the fault, with the remedy if there is one, for people.
    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path, and that the checkpoint is complete"
        case .truncated(let file, let what): "\(file) is cut short: \(what). Copy or download it again"
        case .malformed(let file, let what): "\(file) is damaged: \(what). Copy or download it again"
        case .noTensor(let file, let name): "\(file) has no tensor '\(name)', which its configuration calls for"
        case .wrongShape(let file, let name, let expected, let found):
            "\(file): '\(name)' has the shape \(found), but its configuration calls for \(expected)"
        case .wrongSetting(let file, let name, let value, let expected):
            "\(file): '\(name)' is \(value), where \(expected) is expected; correct it, or take the file as its author wrote it"
        case .unfit(let file, let settings, let what):
            "\(file) does not fit \(settings.split(separator: "/").last ?? "") or the base: \(what); take both files from one "
                + "training, over the base that it was made with"
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
