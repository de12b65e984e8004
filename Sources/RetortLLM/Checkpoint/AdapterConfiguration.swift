import Foundation
import RetortCore
import RetortHub

/// `adapter_config.json` in PEFT's format: LoRA (arXiv 2106.09685) and those of its variants that can be computed
/// exactly. Every setting is either read, known to change nothing, or refused by name.
public struct AdapterConfiguration: Encodable, Sendable, Hashable {
    /// The base model: a model's name, or a path, absolute or relative to the adapter's folder. PEFT leaves it out
    /// when it does not know it.
    public var baseModel: String?
    /// The rank of the update, at least 1.
    public var rank: Int
    /// The numerator of the update's scale, `alpha / rank`.
    public var alpha: Double
    /// The share of an adapter's inputs that were dropped in training, 0 to 1.
    public var dropout: Double
    /// Suffixes of the names of adapted projections.
    public var targets: [String]
    var kind = "LORA"
    var task: String? = "CAUSAL_LM"
    /// Which biases are stored whole: `none`, `all` or `lora_only`.
    var bias = "none"
    /// Whether the scale is alpha / √rank instead (rsLoRA, arXiv 2312.03732).
    var usesRankStabilisation = false
    /// The branch, tag or commit of a base that is given by a model's name.
    var revision: String?
    /// Whether weights are split into magnitude and direction (DoRA, arXiv 2402.09353).
    var usesDirections = false
    /// Whether the second matrix has a bias, which is added to the projection's own (`lora_bias`).
    var addsBias = false
    /// How the base's weights were changed before training began.
    var start = Start.unchanged
    /// The modules that the adapter applies to.
    var scope = Scope()
    /// Ranks and alphas of individual modules, by patterns.
    var ranks: [String: Double] = [:]
    var alphas: [String: Double] = [:]
    /// Modules that are stored whole, by the ends of their names.
    var wholeModules: [String] = []
    /// Rows of the embedding (or of other modules, by name) that are stored whole.
    var rows: [String: [Int]] = [:]
    /// Whether embedding and head stay tied, even if the adapter changes them.
    var keepsTies = false
    /// The file it was read from, for messages.
    var file = "adapter_config.json"

    /// How an initialisation method changed the base; the adapter is relative to the changed base.
    enum Start: Hashable, Sendable {
        case unchanged
        /// The components with the largest singular values were removed (PiSSA, arXiv 2404.02948).
        case pissa
        /// The first columns of a QR decomposition were removed (OLoRA, arXiv 2406.01775).
        case olora
    }

    enum CodingKeys: String, CodingKey {
        case baseModel = "base_model_name_or_path"
        case rank = "r"
        case alpha = "lora_alpha"
        case dropout = "lora_dropout"
        case targets = "target_modules"
        case kind = "peft_type"
        case task = "task_type"
        case bias
        case usesRankStabilisation = "use_rslora"
        case usesDirections = "use_dora"
    }

    /// Plain LoRA, scaled by `alpha / rank`.
    public init(baseModel: String, rank: Int, alpha: Double, dropout: Double, targets: [String]) {
        self.baseModel = baseModel
        self.rank = rank
        self.alpha = alpha
        self.dropout = dropout
        self.targets = targets
    }

    /// The folder or GGUF file of the base's weights, which is given by a path or a model's name. Nothing is
    /// downloaded.
    /// - Throws: `CheckpointError.noBase` when the base is not on this machine.
    func base(relativeTo folder: URL, locator: ModelLocator = ModelLocator()) throws -> URL {
        let file = folder.appendingPathComponent("adapter_config.json").path
        guard let baseModel, !baseModel.isEmpty else {
            throw CheckpointError.unsupported(
                file: file, "an adapter without base_model_name_or_path, which says what model it belongs to,")
        }
        let found = locator.base(baseModel, revision: revision, of: folder).flatMap { place in
            var isFolder: ObjCBool = false
            let isThere = FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder)
            return isThere && (isFolder.boolValue || CheckpointSource.isGGUF(place)) ? place : nil
        }
        guard let found else { throw CheckpointError.noBase(file: file, baseModel) }
        return found
    }

    /// A module's rank, and the factor on the product of its matrices.
    func size(of module: String) throws -> (rank: Int, scale: Double) {
        let rank = try value(of: module, in: ranks).map { Int($0) } ?? rank
        let alpha = try value(of: module, in: alphas) ?? alpha
        return (rank, alpha / (usesRankStabilisation ? Double(rank).squareRoot() : Double(rank)))
    }

    private func value(of module: String, in patterns: [String: Double]) throws -> Double? {
        let fitting = try patterns.keys.filter { try ModulePattern("(?:.*\\.)?(?:\($0))").matches(module) }
        guard Set(fitting.map { patterns[$0] }).count <= 1 else {
            throw CheckpointError.unsupported(
                file: file,
                "a module that patterns give different values (\(module): \(fitting.sorted().joined(separator: ", ")))")
        }
        return fitting.first.flatMap { patterns[$0] }
    }
}
