import Foundation
import RetortCore

/// A model whose replies go through a tape.
struct CassetteModel: LanguageModel {
    let identity: String
    let inner: (any LanguageModel)?
    let cassette: Cassette

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        .whole { try await complete(request) }
    }

    func complete(_ request: GenerationRequest) async throws -> [Completion] {
        let asked = AskedOfModel(identity, request)
        let key = try asked.json()
        let entry = try await cassette.entry(key, occurrence: 0)
        if let entry, !entry.isFailure || cassette.mode == .replay || inner == nil {
            guard !entry.isFailure else { throw CassetteError.recordedFailure(entry.text) }
            return try JSONCoding.decoder.decode([TapedCompletion].self, from: Data(entry.text.utf8)).map(\.completion)
        }
        guard let inner, cassette.mode == .record else {
            throw CassetteError.missing(file: cassette.path, speaker: identity, request: asked.summary)
        }
        let completions: [Completion]
        do {
            completions = try await inner.complete(request)
        } catch {
            // An error that halts or ended the run says nothing about the request.
            let halts = (error as? any RunHalting)?.haltsRun == true
            if !halts, !(error is CancellationError), !Task.isCancelled {
                try await cassette.save(.init(text: "\(error)", isFailure: true), to: key, of: identity, occurrence: 0)
            }
            throw error
        }
        let text = String(decoding: try JSONCoding.encoder.encode(completions.map(TapedCompletion.init)), as: UTF8.self)
        try await cassette.save(.init(text: text, isFailure: false), to: key, of: identity, occurrence: 0)
        return completions
    }
}

/// Everything that a model's reply depends on, as written on the tape.
private struct AskedOfModel: Encodable {
    struct Turn: Encodable {
        var role: Role
        var text: String
    }

    var model: String
    var messages: [Turn]
    var prefill: String
    var samples: Int
    var sampling: Sampling
    var stops: [String]
    var maximumTokens: Int
    var adapter: String?
    var plain: String?
    var tools: String?
    var templateArguments: String?
    var report: String?
    var promptReport: Int?
    var grammar: String?

    init(_ identity: String, _ request: GenerationRequest) {
        model = identity
        messages = request.messages.map { Turn(role: $0.role, text: $0.text) }
        prefill = request.prefill
        samples = request.samples
        sampling = request.sampling
        stops = request.stops
        maximumTokens = request.maximumTokens
        adapter = request.adapter
        plain = request.plain.map { "\($0)" }
        tools = request.tools
        templateArguments = request.templateArguments
        report = request.report == .none ? nil : "\(request.report)"
        promptReport = request.promptReport
        grammar = request.grammar?.json.jsonText
    }

    func json() throws -> String { String(decoding: try JSONCoding.encoder.encode(self), as: UTF8.self) }

    /// A short text that identifies the request to a reader.
    var summary: String {
        let question = messages.first { $0.role == .user }?.text ?? ""
        return "“\(question.prefix(160))”, message \(messages.count + 1) of the chat, after "
            + "“…\(messages.last?.text.suffix(120) ?? "")”, \(samples) samples, seed \(sampling.seed)"
    }
}

/// A completion as written on the tape.
private struct TapedCompletion: Codable {
    enum Ending: Codable { case endOfTurn, length, stop(String) }

    var text: String
    var ending: Ending
    var usage: Usage
    var tokens: TokenIDs?
    var report: [GeneratedToken]?
    var promptReport: [GeneratedToken]?

    init(_ completion: Completion) {
        text = completion.text
        usage = completion.usage
        tokens = completion.tokens
        report = completion.report.isEmpty ? nil : completion.report
        promptReport = completion.promptReport.isEmpty ? nil : completion.promptReport
        ending =
            switch completion.finish {
            case .endOfTurn: .endOfTurn
            case .length: .length
            case .stop(let stop): .stop(stop)
            }
    }

    var completion: Completion {
        let finish: Completion.Finish =
            switch ending {
            case .endOfTurn: .endOfTurn
            case .length: .length
            case .stop(let stop): .stop(stop)
            }
        var completion = Completion(text: text, finish: finish, usage: usage, tokens: tokens, report: report ?? [])
        completion.promptReport = promptReport ?? []
        return completion
    }
}
