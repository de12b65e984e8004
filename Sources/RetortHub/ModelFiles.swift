import Foundation

/// The files of a repository that are needed to read a model: weights as safetensors with configuration, tokenizer
/// and template, or one GGUF file. Code, and pickled weights, which can run code, are never among them.
struct ModelFiles: Sendable {
    let files: [HubRepository.File]
    /// The file to open: a GGUF file's path, or nil for the folder.
    let main: String?

    /// The files beside the weights.
    private static let small: Set<String> = [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json",
        "adapter_config.json", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
    ]
    private static let shards = "model.safetensors.index.json"

    init(_ repository: HubRepository, name: ModelName) throws(HubError) {
        let byPath = Dictionary(repository.files.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        let weights = Self.weights(byPath)
        if name.quantization == nil, !weights.isEmpty {
            let beside = repository.files.filter {
                Self.small.contains($0.path)
                    || $0.path.hasPrefix("additional_chat_templates/") && $0.path.hasSuffix(".jinja")
                    // The configuration of a module of sentence-transformers, such as 1_Pooling.
                    || $0.path.wholeMatch(of: /[0-9]+_[A-Za-z]+\/config\.json/) != nil
            }
            files = beside + weights
            main = nil
            return
        }
        let chosen = try Self.gguf(repository.files, name)
        files = chosen
        main = chosen[0].path
    }

    /// A single weights file, preferred as in `transformers`, or an index with its shards; or an adapter's weights.
    private static func weights(_ files: [String: HubRepository.File]) -> [HubRepository.File] {
        if let single = files["model.safetensors"] { return [single] }
        if let index = files[shards] {
            let parts = files.values.filter { isPart($0.path, ending: ".safetensors", of: "model-") }
            return [index] + parts.sorted { $0.path < $1.path }
        }
        return files["adapter_model.safetensors"].map { [$0] } ?? []
    }

    /// The GGUF file that the name selects, with its other parts when it is split.
    private static func gguf(_ all: [HubRepository.File], _ name: ModelName) throws(HubError) -> [HubRepository.File] {
        var groups: [String: [HubRepository.File]] = [:]
        for file in all where file.path.lowercased().hasSuffix(".gguf") && !file.path.lowercased().contains("mmproj") {
            groups[whole(file.path), default: []].append(file)
        }
        guard !groups.isEmpty else {
            let has = Set(all.map { ($0.path as NSString).pathExtension }).intersection([
                "bin", "pt", "pth", "h5", "msgpack", "onnx",
            ])
            throw .noWeights(
                name: name.description,
                reason: name.quantization != nil
                    ? "it has no GGUF files to choose from"
                    : has.isEmpty
                        ? "it holds neither model.safetensors nor a GGUF file"
                        : "its weights are in \(has.sorted().map { "." + $0 }.joined(separator: ", ")) files only, which are not "
                            + "read (pickled ones run code); convert it with save_pretrained(safe_serialization=True)")
        }
        var fitting = groups
        if let wanted = name.quantization?.lowercased() {
            fitting = groups.filter { key, _ in words(key).contains(wanted) }
            if fitting.isEmpty { fitting = groups.filter { key, _ in key.lowercased().contains(wanted) } }
        }
        guard fitting.count == 1, let only = fitting.first?.value else {
            let choices = (fitting.isEmpty ? groups : fitting).keys.sorted().map { key in
                String((key as NSString).lastPathComponent.dropLast(".gguf".count))
            }
            throw .choice(name: name.repository, of: choices)
        }
        return only.sorted { $0.path < $1.path }
    }

    /// The parts of a file's name between `-` and `.`: those of `SmolLM2-135M.Q4_K_M.gguf` include `q4_k_m`.
    private static func words(_ path: String) -> [String] {
        let name = (path as NSString).lastPathComponent.lowercased()
        return name.split(whereSeparator: { "-.".contains($0) }).map(String.init) + [
            String(name.dropLast(".gguf".count))
        ]
    }

    /// The path without a part number such as `-00001-of-00003`.
    private static func whole(_ path: String) -> String {
        path.replacing(/-[0-9]{5}-of-[0-9]{5}(?=\.gguf$)/.ignoresCase(), with: "")
    }

    private static func isPart(_ path: String, ending: String, of start: String) -> Bool {
        path.hasPrefix(start) && path.hasSuffix(ending) && path.contains(/-[0-9]{5}-of-[0-9]{5}\./)
    }
}
