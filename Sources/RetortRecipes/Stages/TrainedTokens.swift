import Foundation
import RetortCore
import RetortLLM

/// A trajectory as the tokens that a student was trained on, if its run kept them (`retort train --samples`).
package struct TrainedTokens: Sendable, Hashable {
    /// A token of a sample.
    package struct Token: Sendable, Hashable {
        /// Its number in the vocabulary.
        package let id: Int32
        /// Its text; its number when there is no tokenizer.
        package let text: String
        /// Whether it is learned, and not only shown.
        package let isLearned: Bool
    }

    /// `STUDENT-KIND`, as in file names.
    package let training: String
    /// The sample's tokens in order.
    package let tokens: [Token]

    private struct Line: Decodable {
        let id: String
        let tokens: [Int32]
        let trainable: [Bool]
    }

    private static let prefix = "samples-"
    /// How much of a file is searched at most, and how much at a time, in bytes.
    private static let most = 1 << 30
    private static let block = 4 << 20

    /// Whether a run kept the samples of any training.
    package static func areKept(in run: URL) -> Bool { !files(run).isEmpty }

    /// The samples that were made from a trajectory, of all trainings.
    /// - Throws: errors of reading the files.
    package static func of(_ trajectory: String, in run: URL) throws -> [TrainedTokens] {
        try files(run).flatMap { file -> [TrainedTokens] in
            let training = String(file.deletingPathExtension().lastPathComponent.dropFirst(prefix.count))
            let lines = try lines(of: trajectory, in: file)
            guard !lines.isEmpty else { return [] }
            let tokenizer = tokenizer(of: training, in: run)
            return lines.map { line in
                let tokens = zip(line.tokens, line.trainable).map { id, isLearned in
                    Token(id: id, text: tokenizer?.decode([id]) ?? "\(id) ", isLearned: isLearned)
                }
                return TrainedTokens(training: training, tokens: tokens)
            }
        }
    }

    private static func files(_ run: URL) -> [URL] {
        let folder = run.appendingPathComponent("results")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasPrefix(prefix) && $0.hasSuffix(".jsonl") }.sorted().map(
            folder.appendingPathComponent)
    }

    /// The lines of a trajectory; the samples of its further parts have a number after the id.
    private static func lines(of trajectory: String, in file: URL) throws -> [Line] {
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        let id = String(decoding: try JSONCoding.encoder.encode(trajectory), as: UTF8.self).dropLast()
        let start = Data("{\"id\":\(id)".utf8)
        var (rest, found, read): (Data, [Line], Int) = (Data(), [], 0)
        while read < most, let piece = try handle.read(upToCount: block), !piece.isEmpty {
            read += piece.count
            let lines = (rest + piece).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            for line in lines.dropLast() where line.starts(with: start) {
                guard let sample = try? JSONCoding.decoder.decode(Line.self, from: Data(line)),
                    sample.id == trajectory || sample.id.hasPrefix(trajectory + "#")
                else { continue }
                found.append(sample)
            }
            rest = Data(lines.last ?? Data())
        }
        return found
    }

    /// The student's tokenizer: beside its trained weights, or that of its base.
    private static func tokenizer(of training: String, in run: URL) -> Tokenizer? {
        let student = (try? Manifest(folder: run))?.recipe.students.first { training.hasPrefix("\($0.name)-") }
        guard let student else { return nil }
        let kind = training.dropFirst(student.name.count + 1)
        let places = [
            run.appendingPathComponent("checkpoints/\(student.name)/\(kind)"), URL(fileURLWithPath: student.base),
        ]
        return places.lazy.compactMap { try? Tokenizer($0) }.first
    }
}
