import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortRecipes

/// `retort split`
struct SplitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "Write what α-UMi's stages train on: with and without reuse, and smaller subsets.",
        discussion: """
              retort split raw_data_stage_2.json --shares 0.125 --shares 0.25 --shares 0.5 --out splits/toolbench
              retort split runs/alpha-umi --set teach/apis --correct --checkpoint seedlings/3m --max-tokens 1024 --out splits/apis

            The folder gets 'all' (both stages, with reuse), 'global' and 'local' (the stages without reuse: no instruction is \
            in both) and a 'share-…' for each share. Each has trajectories.jsonl and the samples of the roles that train on \
            it, as lines of 'messages' (TRL). An instruction's place depends on its text and the seed alone: a smaller share \
            lies within a larger one, whatever the file's order.

            With --checkpoint, samples are measured by its tokenizer and chat template. A sample that is too long is \
            left out, counted in split.json and named in overlong.jsonl; none is ever cut.
            """)

    @OptionGroup var source: TrajectorySource
    @Option(help: "The folder to write.") var out: String
    @Option(
        name: .customLong("shares"),
        help: ArgumentHelp("A point of a data-scaling curve, above 0 and below 1; may be repeated.", valueName: "share")
    )
    var shares: [Double] = []
    @Option(help: "Which share of the instructions is the global stage's without reuse.") var globalShare = 0.5
    @Option(help: "Another seed draws other parts.") var seed: UInt64 = 0
    @Option(help: "How much the roles' prompts say: brief (for students) or full.") var instructions: Instructions =
        .full
    @Option(help: "The folder of a checkpoint, by whose tokenizer samples are measured.") var checkpoint: String?
    @Option(name: .customLong("max-tokens"), help: "The longest sample, in tokens.") var maximumTokens = 4096
    @Flag(help: "Print split.json instead of the table.") var json = false

    func validate() throws {
        guard shares.allSatisfy({ $0 > 0 && $0 < 1 }), globalShare > 0, globalShare < 1 else {
            throw ValidationError("Shares must be above 0 and below 1.")
        }
        guard maximumTokens > 0 else { throw ValidationError("--max-tokens must be at least 1.") }
    }

    func run() async throws {
        let trajectories = try await source.read()
        let limit = try checkpoint.map { folder in
            let checkpoint = try Checkpoint(folder: URL(fileURLWithPath: folder))
            let (template, tokenizer) = (checkpoint.template, checkpoint.tokenizer)
            return RoleSplit.Limit(tokens: maximumTokens) { messages in
                try template.render(messages, then: .nothing, with: tokenizer).tokens.count
            }
        }
        let split = RoleSplit(
            seed: seed, globalShare: globalShare, shares: shares.sorted(), instructions: instructions, limit: limit)
        let account = try split.write(trajectories, to: URL(fileURLWithPath: out))
        print(
            json ? String(decoding: try JSONCoding.prettyEncoder.encode(account), as: UTF8.self) : account.description)
    }
}
