import Foundation
import RetortCore
import RetortTensor

/// The settings in a folder's sentence-transformers files: how texts are cut, which prompts are put before them, and
/// how states are pooled. A folder without such files is read as sentence-transformers does: the mean of all states.
///
/// The files are `modules.json`, `N_Pooling/config.json`, `N_Dense`, `sentence_bert_config.json` and
/// `config_sentence_transformers.json`. A key that would change something and is not supported is refused by name.
struct SentenceSettings {
    /// The kinds of pooling; the results of several are concatenated.
    private(set) var pooling: [SentencePooling] = [.mean]
    /// Whether `modules.json` says how states are pooled.
    private(set) var namesModules = false
    /// The folders of dense layers that the pooled vector goes through, in order.
    private(set) var dense: [URL] = []
    /// Whether vectors are normalised to length one.
    private(set) var normalises = false
    /// The longest text in tokens; nil leaves it to the tokenizer and the network.
    private(set) var longest: Int?
    /// Whether texts are converted to lower case first.
    private(set) var lowercases = false
    /// The texts put before an input, by the prompt's name.
    private(set) var prompts: [String: String] = [:]
    private(set) var defaultPrompt: String?
    private(set) var similarity = "cosine"
    private let folder: URL

    init(_ folder: URL, hidden: Int) throws {
        self.folder = folder
        try readModules(hidden: hidden)
        try readTransformer()
        try readModel()
    }

    /// The prompt for texts to search with, or for texts to be found.
    func prompt(_ kind: EmbeddedText) -> String {
        let names = kind == .query ? ["query"] : ["document", "passage", "corpus"]
        return names.lazy.compactMap { prompts[$0] }.first ?? defaultPrompt.flatMap { prompts[$0] } ?? ""
    }

    private func fields(_ name: String) throws -> ConfigurationFields? {
        let file = folder.appendingPathComponent(name)
        return try CheckpointJSON.object(file).map { ConfigurationFields($0, path: file.path) }
    }

    private mutating func readModules(hidden: Int) throws {
        let file = folder.appendingPathComponent("modules.json")
        guard let data = try? Data(contentsOf: file) else { return }
        namesModules = true
        guard let modules = (try? ExactJSON.value(of: CheckpointJSON.withoutMark(data)))?.array else {
            throw CheckpointError.malformed(file: file.path, "it is no list of modules")
        }
        var kinds: [String] = []
        for module in modules {
            guard let type = module["type"]?.string, let path = module["path"]?.string else {
                throw CheckpointError.malformed(file: file.path, "a module needs 'type' and 'path'")
            }
            let kind = type.split(separator: ".").last.map(String.init) ?? type
            switch (kind, kinds.last) {
            case ("Transformer", nil):
                guard path.isEmpty else {
                    throw CheckpointError.unsupported(
                        file: file.path, "a Transformer in a folder of its own ('\(path)')")
                }
            case ("Pooling", "Transformer"): try readPooling("\(path)/config.json", hidden: hidden)
            case ("Dense", "Pooling"), ("Dense", "Dense"): dense.append(folder.appendingPathComponent(path))
            case ("Normalize", "Pooling"), ("Normalize", "Dense"): normalises = true
            default:
                throw CheckpointError.unsupported(
                    file: file.path, "the module '\(type)' behind '\(kinds.last ?? "nothing")'")
            }
            kinds.append(kind)
        }
        guard kinds.count >= 2 else {
            throw CheckpointError.malformed(file: file.path, "it needs a Transformer and a Pooling")
        }
    }

    private static let oldPooling: KeyValuePairs<String, SentencePooling> = [
        "pooling_mode_cls_token": .cls, "pooling_mode_max_tokens": .max, "pooling_mode_mean_tokens": .mean,
        "pooling_mode_mean_sqrt_len_tokens": .meanBySquareRoot, "pooling_mode_weightedmean_tokens": .weightedMean,
        "pooling_mode_lasttoken": .last,
    ]

    private mutating func readPooling(_ name: String, hidden: Int) throws {
        guard let fields = try fields(name) else {
            throw CheckpointError.missing(file: folder.appendingPathComponent(name).path)
        }
        let old = Self.oldPooling.map(\.key)
        try fields.refuse(
            allBut: Set(["embedding_dimension", "word_embedding_dimension", "pooling_mode"] + old),
            and: ["include_prompt": [true]])
        let width =
            try fields.optionalInteger("embedding_dimension") ?? fields.optionalInteger("word_embedding_dimension")
        guard width ?? hidden == hidden else {
            throw fields.malformed("it pools states of the width \(width ?? 0), and the network's are \(hidden) wide")
        }
        if fields["pooling_mode"] != nil {
            pooling = try fields.texts("pooling_mode").map { mode in
                guard let pooling = SentencePooling(rawValue: mode) else {
                    throw fields.unsupported("the pooling mode '\(mode)'")
                }
                return pooling
            }
        } else {
            pooling = try Self.oldPooling.filter { try fields.flag($0.key) }.map(\.value)
        }
        if pooling.isEmpty { pooling = [.mean] }
    }

    private mutating func readTransformer() throws {
        guard let fields = try fields("sentence_bert_config.json") else { return }
        let io: JSONValue = ["text": ["method": "forward", "method_output_name": "last_hidden_state"]]
        try fields.refuse(
            allBut: ["max_seq_length", "do_lower_case", "unpad_inputs"],
            and: [
                "transformer_task": ["feature-extraction", "sequence-classification"], "modality_config": [io],
                "module_output_name": ["token_embeddings", "scores"], "processing_kwargs": [[:]], "model_args": [[:]],
                "tokenizer_args": [[:]], "config_args": [[:]],
            ])
        longest = try fields.optionalInteger("max_seq_length")
        guard longest ?? 1 > 0 else { throw fields.malformed("'max_seq_length' is \(longest ?? 0)") }
        lowercases = try fields.flag("do_lower_case")
    }

    private mutating func readModel() throws {
        guard let fields = try fields("config_sentence_transformers.json") else { return }
        try fields.refuse(
            allBut: ["__version__", "prompts", "default_prompt_name", "similarity_fn_name"],
            and: [
                "truncate_dim": [], "model_type": ["SentenceTransformer", "CrossEncoder"],
                "activation_fn": [
                    "torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid",
                ],
            ])
        for (name, value) in try fields.members("prompts") {
            guard let text = value.string else { throw fields.malformed("the prompt '\(name)' is no text") }
            prompts[name] = text
        }
        defaultPrompt = fields["default_prompt_name"]?.string
        if let name = defaultPrompt, prompts[name] == nil {
            throw fields.malformed("'default_prompt_name' is '\(name)', and there is no such prompt")
        }
        similarity = fields["similarity_fn_name"]?.string ?? similarity
        guard ["cosine", "dot"].contains(similarity) else {
            throw fields.unsupported("'similarity_fn_name' with the value '\(similarity)'")
        }
    }
}

/// The purpose of embedding a text.
public enum EmbeddedText: String, Sendable, CaseIterable {
    /// To look for something.
    case query
    /// To be found.
    case passage
}
