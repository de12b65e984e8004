import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortTraining

/// How probable texts are to a teacher behind an endpoint, which reports it as vLLM and `retort serve` do
/// (`prompt_logprobs`).
///
/// Each text is paid for once: the reply is kept, one line per text, and read again after an interruption.
struct EndpointScores {
    private struct Line: Codable {
        /// The digest of the text's tokens.
        var text: String
        /// One number per token, in nats; 0 for the first, which nothing precedes.
        var logProbabilities: [Float]
        /// The likeliest tokens at each position, where they were requested.
        var choices: [[TeacherChoice]]?
    }

    let teacher: any LanguageModel
    /// The file that keeps them, as JSON Lines.
    let file: URL
    /// How many texts are scored at the same time.
    let width: Int
    /// How many of the likeliest tokens are needed at each position; 0 for none.
    var best = 0

    /// - Throws: `EndpointScoresError`, and what the teacher's model throws.
    func scores(of examples: [TrainingExample], progress: ProgressLine) async throws -> TeacherScores {
        let names = examples.map { ContentDigest.of(["\($0.tokens)"]) }
        var known = try kept()
        let missing = Set(names).subtracting(known.keys)
        let asked = zip(names, examples).filter { missing.contains($0.0) }
        let texts = Dictionary(asked.map { ($0.0, $0.1.tokens) }, uniquingKeysWith: { first, _ in first })
            .sorted { $0.key < $1.key }
        let out = try AppendedLines(file)
        for told in try await concurrentMap(
            texts, width: width,
            { text in
                let line = try await told(of: text.value, named: text.key)
                try out.append(JSONCoding.encoder.encode(line))
                return line
            }, finished: { progress.show($0, of: texts.count, "texts scored by the teacher") })
        {
            known[told.text] = told
        }
        let lines = try zip(names, examples).map { name, example in
            guard let line = known[name], line.logProbabilities.count == example.tokens.count else {
                throw EndpointScoresError.untold(teacher: teacher.identity)
            }
            return line
        }
        return TeacherScores(
            logProbabilities: lines.map(\.logProbabilities), choices: best > 0 ? lines.map { $0.choices ?? [] } : nil)
    }

    /// The scores of earlier runs. A last line that was cut off is ignored.
    private func kept() throws -> [String: Line] {
        guard FileManager.default.fileExists(atPath: file.path) else { return [:] }
        var known: [String: Line] = [:]
        for line in try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")) {
            guard let line = try? JSONCoding.decoder.decode(Line.self, from: Data(line)) else { continue }
            // Scores kept for another divergence may lack choices.
            if best == 0 || line.choices?.last?.count ?? 0 >= best { known[line.text] = line }
        }
        return known
    }

    private func told(of tokens: [Int32], named name: String) async throws -> Line {
        let report = try await report(of: tokens)
        var line = Line(text: name, logProbabilities: report.map { Float($0.logprob ?? 0) })
        guard best > 0 else { return line }
        line.choices = report.map { token in
            token.alternatives.compactMap { other in
                other.id.map { TeacherChoice($0, logProbability: Float(other.logprob)) }
            }.sorted { $0.logProbability > $1.logProbability }.prefix(best).map(\.self)
        }
        // An endpoint may return fewer than requested.
        guard line.choices?.dropFirst().allSatisfy({ !$0.isEmpty }) == true else {
            throw EndpointScoresError.untold(teacher: teacher.identity)
        }
        return line
    }

    private func report(of tokens: [Int32]) async throws -> [GeneratedToken] {
        let request = GenerationRequest(
            messages: [], maximumTokens: 1, plain: .tokens(tokens), promptReport: best)
        guard let report = try await teacher.complete(request).first?.promptReport, report.count == tokens.count,
            report.dropFirst().allSatisfy({ $0.logprob?.isFinite == true && $0.logprob ?? 1 <= 1e-4 })
        else { throw EndpointScoresError.untold(teacher: teacher.identity) }
        return report
    }

    /// Checks that the teacher's tokens are those of a student's tokenizer, by the texts that the teacher gives for
    /// them.
    /// - Throws: `EndpointScoresError.otherTokenizer`, and an error where the teacher reports no probabilities at all.
    func check(_ tokenizer: Tokenizer) async throws {
        let text = "Who wrote it? print(search(query=\"Tina Arena\"))\n\tx = 12345 + 6.78  # naïve 日本 🙂"
        let tokens = tokenizer.encode(text, specials: .asText)
        for token in try await report(of: tokens).dropFirst() {
            // Servers drop blanks at the start of a word, and mark tokens that are part of a character.
            let said = String(decoding: token.bytes, as: UTF8.self)
            let meant = token.id.map { tokenizer.decode([$0]) } ?? ""
            guard !said.isEmpty, !said.contains("\u{FFFD}"), !meant.contains("\u{FFFD}") else { continue }
            guard said.bare == meant.bare else {
                throw EndpointScoresError.otherTokenizer(
                    teacher: teacher.identity, id: token.id ?? -1, said: said, meant: meant)
            }
        }
    }
}

extension String {
    /// Without blanks at the ends, and without the marks that vocabularies write for blanks.
    fileprivate var bare: String {
        replacing("Ġ", with: " ").replacing("▁", with: " ").replacing("Ċ", with: "\n").replacing("ĉ", with: "\t")
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// Teachers behind endpoints whose probabilities cannot be learned.
enum EndpointScoresError: Error, CustomStringConvertible {
    case untold(teacher: String)
    case otherTokenizer(teacher: String, id: Int32, said: String, meant: String)

    var description: String {
        switch self {
        case .untold(let teacher):
            "'distance' needs the probabilities of given texts, and the endpoint of '\(teacher)' does not tell them for all tokens "
                + "(prompt_logprobs of /v1/completions); vLLM and `retort serve` do, or name the 'folder' of a checkpoint"
        case .otherTokenizer(let teacher, let id, let said, let meant):
            "'distance' compares probabilities of the same tokens, and '\(teacher)' has another tokenizer: token \(id) is "
                + "\(said.debugDescription) there and \(meant.debugDescription) in the student's; take a teacher of the student's "
                + "family, or 'repair', which takes any"
        }
    }
}
