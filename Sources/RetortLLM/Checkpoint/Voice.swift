import Foundation
import RetortCore

/// The text interface of a model, or of an adapter over it: its tokenizer, its chat template, and the tokens that end
/// its replies.
struct Voice: Sendable {
    let tokenizer: Tokenizer
    let template: any ChatTemplate
    let endTokens: Set<Int>
    /// The makers' sampling settings.
    let drawing: DrawingSettings

    init(_ folders: CheckpointFolders) throws {
        tokenizer = try folders.readTokenizer()
        template = try folders.template(for: tokenizer)
        drawing = try DrawingSettings(folders)
        endTokens = try Self.endTokens(folders, tokenizer).union([Int(template.endOfTurn)])
    }

    /// What is known of the reply to a request.
    func profile(of request: GenerationRequest) -> ReplyProfile {
        var template = template
        // What cannot be offered or told is refused when the request is admitted.
        if let arguments = request.templateArguments, let told = try? template.told(arguments) { template = told }
        if let tools = request.tools, let offering = try? template.offering(tools) { template = offering }
        let isChat = request.plain == nil
        return ReplyProfile(
            calls: template.callForm, opensThought: isChat && template.opensThought, sampling: drawing.sampling)
    }

    /// The voice that an adapter brings itself; nil when it goes by its base's.
    init?(adapter folder: URL) throws {
        guard try CheckpointFolders.hasTokenizer(folder) || TemplateFiles(.folder(folder)) != nil else { return nil }
        try self.init(CheckpointFolders(folder))
    }

    /// `eos_token_id` of `generation_config.json`, else of `config.json`, else the tokenizer's own.
    private static func endTokens(_ folders: CheckpointFolders, _ tokenizer: Tokenizer) throws -> Set<Int> {
        for source in folders.all {
            for name in ["generation_config.json", "config.json"] {
                guard let value = try source.object(name)?["eos_token_id"], value != .null else { continue }
                let list = value.array ?? [value]
                let ids = list.compactMap { if case .integer(let id) = $0, id >= 0 { id } else { nil } }
                guard ids.count == list.count else {
                    throw CheckpointError.malformed(
                        file: source.path(of: name), "its eos_token_id is no token, and no list of tokens")
                }
                if !ids.isEmpty { return Set(ids) }
            }
        }
        let named = try TokenDeclarations(folders.tokenizer).named["eos_token"].flatMap(tokenizer.id)
        return Set([named].compactMap(\.self).map(Int.init))
    }
}
