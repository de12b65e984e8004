import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// Writes the training data of α-UMi's stages as files: the parts with and without reuse of the instructions, the
/// subsets of a data-scaling curve, and each role's samples of every part.
///
/// | folder | instructions | samples of |
/// | --- | --- | --- |
/// | `all` | every one: both stages, with reuse | all roles |
/// | `global` | the global stage's, without reuse | the backbone |
/// | `local` | the others, without reuse | planner, caller, summarizer |
/// | `share-N` | N percent, each within the next | all roles |
package struct RoleSplit: Sendable {
    /// What was written.
    package struct Account: Codable, Sendable, Hashable {
        /// One part of the data.
        package struct Part: Codable, Sendable, Hashable {
            /// The name of its folder.
            package let name: String
            /// The number of different instructions.
            package let instructions: Int
            /// The number of trajectories.
            package let trajectories: Int
            /// The samples by role.
            package var samples: [String: Samples] = [:]
        }

        /// The samples of a role in a part.
        package struct Samples: Codable, Sendable, Hashable {
            /// The number of samples in the role's file.
            package var written = 0
            /// The number of samples left out as too long; `overlong.jsonl` names them.
            package var overlong = 0
            /// The tokens of the written samples; nil when samples were not measured.
            package var tokens: Int?
        }

        /// The seed of the split.
        package let seed: UInt64
        /// The longest sample that is kept, in tokens; nil when samples were not measured.
        package let maximumTokens: Int?
        /// The files that were written, in order.
        package internal(set) var parts: [Part] = []
    }

    /// A sample that was left out for its length.
    package struct Overlong: Codable, Sendable, Hashable {
        /// The part's name.
        package let part: String
        /// The role.
        package let role: AgentRole
        /// The trajectory's id.
        package let id: String
        /// The index among the role's samples of the trajectory, from 0.
        package let sample: Int
        /// The sample's length in tokens.
        package let tokens: Int
    }

    /// How samples are measured, and the longest one to keep, in tokens.
    package struct Limit: Sendable {
        let tokens: Int
        let measure: @Sendable ([Message]) throws -> Int

        /// - Parameters:
        ///   - tokens: the longest sample to keep.
        ///   - measure: the number of tokens of a chat.
        package init(tokens: Int, measure: @escaping @Sendable ([Message]) throws -> Int) {
            self.tokens = tokens
            self.measure = measure
        }
    }

    private let seed: UInt64
    private let globalShare: Double
    private let shares: [Double]
    private let instructions: Instructions
    private let limit: Limit?

    /// - Parameters:
    ///   - globalShare: the global stage's share of the instructions without reuse, in 0…1.
    ///   - shares: the shares of a data-scaling curve, in 0…1.
    ///   - instructions: how much the roles' prompts say.
    ///   - limit: nil neither measures samples nor leaves any out.
    package init(
        seed: UInt64 = 0, globalShare: Double = 0.5, shares: [Double] = [], instructions: Instructions = .full,
        limit: Limit? = nil
    ) {
        self.seed = seed
        self.globalShare = globalShare
        self.shares = shares
        self.instructions = instructions
        self.limit = limit
    }

    private typealias Part = (name: String, trajectories: [Trajectory], roles: [AgentRole])

    private func parts(_ all: [Trajectory]) -> [Part] {
        let split = InstructionSplit(seed: seed)
        let stages = split.stages(all, .disjoint, globalShare: globalShare)
        let locals: [AgentRole] = [.planner, .caller, .summarizer]
        return [
            ("all", all, AgentRole.allCases), ("global", stages.global, [.backbone]), ("local", stages.local, locals),
        ]
            + shares.map { share in
                ("share-\(String(format: "%g", 100 * share))", split.subset(all, share: share), AgentRole.allCases)
            }
    }

    /// Writes the parts into a folder: in each part `trajectories.jsonl` and a file for each role, and beside the parts
    /// `split.json` and, where samples are measured, `overlong.jsonl`. Files of the same names are replaced.
    package func write(_ trajectories: [Trajectory], to folder: URL) throws -> Account {
        var account = Account(seed: seed, maximumTokens: limit?.tokens)
        var overlong: [Overlong] = []
        for part in parts(trajectories) {
            let place = folder.appendingPathComponent(part.name)
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            try JSONLines.write(part.trajectories, to: place.appendingPathComponent("trajectories.jsonl"))
            var entry = Account.Part(
                name: part.name, instructions: Set(part.trajectories.map(\.task.question)).count,
                trajectories: part.trajectories.count)
            for role in part.roles {
                let file = place.appendingPathComponent("\(role.rawValue).jsonl")
                let (samples, left) = try write(role, part, to: file)
                entry.samples[role.rawValue] = samples
                overlong += left
            }
            account.parts.append(entry)
        }
        if limit != nil { try JSONLines.write(overlong, to: folder.appendingPathComponent("overlong.jsonl")) }
        try AtomicFile.write(
            JSONCoding.prettyEncoder.encode(account), to: folder.appendingPathComponent("split.json"))
        return account
    }

    private func write(_ role: AgentRole, _ part: Part, to file: URL) throws -> (Account.Samples, [Overlong]) {
        var samples = Account.Samples(tokens: limit == nil ? nil : 0)
        var overlong: [Overlong] = []
        let view = RoleView(role, instructions: instructions)
        let export = ChatExport(.trl, .view(view))
        try AtomicFile.write(to: file) { handle in
            for trajectory in part.trajectories {
                // A trajectory in which the role has no turn gives no lines.
                guard case .success(let lines) = export.lines(trajectory) else { continue }
                for (number, (line, messages)) in zip(lines, view.examples(for: trajectory)).enumerated() {
                    if let limit {
                        let tokens = try limit.measure(messages)
                        guard tokens <= limit.tokens else {
                            overlong.append(
                                Overlong(
                                    part: part.name, role: role, id: trajectory.id, sample: number, tokens: tokens))
                            continue
                        }
                        samples.tokens = (samples.tokens ?? 0) + tokens
                    }
                    try handle.write(contentsOf: Data("\(line.jsonText)\n".utf8))
                    samples.written += 1
                }
            }
        }
        samples.overlong = overlong.count
        return (samples, overlong)
    }
}

extension RoleSplit.Account: CustomStringConvertible {
    /// A table of the parts.
    package var description: String {
        let roles = AgentRole.allCases.map(\.rawValue)
        var lines = [
            "| part | instructions | trajectories | \(roles.joined(separator: " | ")) | too long |",
            "| --- | ---: | ---: |" + String(repeating: " ---: |", count: roles.count + 1),
        ]
        for part in parts {
            let counts = roles.map { part.samples[$0].map { "\($0.written)" } ?? "–" }.joined(separator: " | ")
            let overlong = maximumTokens.map { _ in "\(part.samples.values.reduce(0) { $0 + $1.overlong })" } ?? "?"
            lines.append("| \(part.name) | \(part.instructions) | \(part.trajectories) | \(counts) | \(overlong) |")
        }
        lines.append(
            maximumTokens.map { "Samples of more than \($0) tokens are left out; overlong.jsonl names them." }
                ?? "Samples were not measured; --checkpoint counts their tokens, and names those that are too long.")
        return lines.joined(separator: "\n")
    }
}
