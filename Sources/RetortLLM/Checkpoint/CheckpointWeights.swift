import Foundation
import RetortCore
import RetortTensor

/// The tensors of a file, by the names of Hugging Face's checkpoints.
protocol StoredTensors: Sendable {
    var path: String { get }
    /// - Throws: `CheckpointError` for a missing tensor.
    func tensor(_ name: String) throws -> Tensor
    /// A tensor's extents, outermost first; nil for a missing tensor.
    func shape(of name: String) -> [Int]?
    /// The file's own name for a tensor.
    func ownName(of name: String) -> String
}

extension SafetensorsFile: StoredTensors {
    func shape(of name: String) -> [Int]? { entries[name]?.shape }
    func ownName(of name: String) -> String { name }
}

/// The weights of a folder or a GGUF file. A folder has a single `model.safetensors` or shards with an index; if both
/// exist the single file is used, as in transformers.
package struct CheckpointWeights: WeightSource {
    private static let head = "lm_head.weight"
    private static let embedding = "model.embed_tokens.weight"

    private let files: [String: any StoredTensors]
    private let path: String
    let dtype: DType
    let device: Device
    /// Whether a missing head is replaced by the embedding, and the other way round.
    private let ties: Bool

    /// Maps the files into memory.
    /// - Parameter ties: whether head and embedding are the same when only one is stored.
    /// - Throws: `CheckpointError` that names the file.
    package init(_ source: CheckpointSource, dtype: DType, device: Device, ties: Bool = false) throws {
        self.dtype = dtype
        self.device = device
        self.ties = ties
        switch source {
        case .folder(let folder): (path, files) = try Self.files(of: folder)
        case .gguf(let model):
            (path, files) = (model.path, Dictionary(uniqueKeysWithValues: model.names.map { ($0, model) }))
        }
    }

    private static func files(of folder: URL) throws -> (path: String, files: [String: any StoredTensors]) {
        let single = folder.appendingPathComponent("model.safetensors")
        let index = folder.appendingPathComponent("model.safetensors.index.json")
        let manager = FileManager.default
        if !manager.fileExists(atPath: single.path), let fields = try CheckpointJSON.object(index) {
            guard let map = fields["weight_map"]?.object?.compactMapValues(\.string) else {
                throw CheckpointError.malformed(file: index.path, "it has no weight_map")
            }
            var shards: [String: SafetensorsFile] = [:]
            for name in Set(map.values) { shards[name] = try SafetensorsFile(folder.appendingPathComponent(name)) }
            return (index.path, map.compactMapValues { shards[$0] })
        }
        let pickle = folder.appendingPathComponent("pytorch_model.bin")
        if !manager.fileExists(atPath: single.path), manager.fileExists(atPath: pickle.path) {
            throw CheckpointError.unsupported(
                file: pickle.path, "a pickle (load it in transformers and save it, which makes safetensors), which")
        }
        let file = try SafetensorsFile(single)
        return (file.path, file.entries.mapValues { _ in file })
    }

    /// The tensor in this source's dtype and on its device.
    /// - Throws: `CheckpointError` for a missing tensor or another shape.
    package func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        try own(name, shape).to(dtype, device: device)
    }

    /// The tensor as it is stored.
    func own(_ name: String, _ shape: [Int]) throws -> Tensor {
        try check(name, shape).tensor(stored(name))
    }

    /// Checks a tensor by its file's header.
    /// - Returns: the file.
    /// - Throws: `CheckpointError` for a missing tensor or another shape.
    @discardableResult
    func check(_ name: String, _ shape: [Int]) throws -> any StoredTensors {
        let stored = stored(name)
        guard let file = files[stored], let found = file.shape(of: stored) else {
            try refuseQuantised(name)
            let own = files.values.first.map { $0.ownName(of: name) } ?? name
            throw CheckpointError.noTensor(file: files[stored]?.path ?? path, name: own)
        }
        guard found == shape else {
            try refuseQuantised(name)
            throw CheckpointError.wrongShape(
                file: file.path, name: file.ownName(of: name), expected: shape, found: found)
        }
        return file
    }

    private func stored(_ name: String) -> String {
        guard ties, files[name] == nil else { return name }
        return name == Self.head ? Self.embedding : name == Self.embedding ? Self.head : name
    }

    /// Whether there is a tensor of that name.
    func holds(_ name: String) -> Bool { files[name] != nil }

    /// The names of all tensors.
    var names: [String] { Array(files.keys) }

    /// The file that holds a tensor.
    func file(of name: String) -> (any StoredTensors)? { files[name] }

    /// Whether both an embedding and a head are stored.
    var holdsTwoVocabularies: Bool { holds(Self.head) && holds(Self.embedding) }

    /// Whether a head is stored that differs from the embedding. transformers keeps such a head, whatever
    /// `tie_word_embeddings` says.
    func holdsOwnHead() throws -> Bool {
        guard let head = files[Self.head], let embedding = files[Self.embedding] else { return false }
        let (one, other) = (try head.tensor(Self.head), try embedding.tensor(Self.embedding))
        guard one.shape == other.shape else { return true }
        if one.dtype == other.dtype { return try one.bytes() != other.bytes() }
        return try one.to(.float32).bytes() != other.to(.float32).bytes()
    }

    /// Refuses tensors that no part of the network uses, since they would be ignored silently.
    /// - Parameter unused: prefixes of names that are allowed because they serve another purpose.
    func refuseStrays(besides used: some Sequence<String>, and unused: [String]) throws {
        let used = Set(used)
        for name in files.keys.sorted() where !used.contains(name) && !unused.contains(where: name.hasPrefix) {
            // A tied head, and frequencies, which old files contain although they follow from the settings.
            if name == Self.head || name == Self.embedding || name.hasSuffix("rotary_emb.inv_freq") { continue }
            try refuseQuantised(name)
            throw CheckpointError.unsupported(
                file: files[name]?.path ?? path,
                "the tensor '\(files[name]?.ownName(of: name) ?? name)', which fits no part of the network that it describes,"
            )
        }
    }

    /// Refuses quantised weights, naming the method if a module's tensors reveal it.
    private func refuseQuantised(_ name: String) throws {
        let module = name.split(separator: ".").dropLast().joined(separator: ".")
        let signs = [
            ("qweight", "GPTQ or AWQ"), ("qzeros", "GPTQ or AWQ"), ("weight_packed", "compressed-tensors"),
            ("weight.absmax", "bitsandbytes, 4 bits"), ("weight.quant_state.bitsandbytes__nf4", "bitsandbytes, 4 bits"),
            ("weight.quant_state.bitsandbytes__fp4", "bitsandbytes, 4 bits"), ("SCB", "bitsandbytes, 8 bits"),
            ("weight_scale_inv", "fp8"), ("weight_scale", "fp8 or int8"),
        ]
        let modules = [module, name.split(separator: ".").dropLast(2).joined(separator: ".")]
        for (sign, kind) in signs where modules.contains(where: { files["\($0).\(sign)"] != nil }) {
            throw CheckpointError.quantised(file: path, kind: kind)
        }
    }
}
