import ArgumentParser
import Foundation
import RetortCore
import RetortWorld

/// `retort world`
struct WorldCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "world", abstract: "Write data of the built-in world.",
        subcommands: [Text.self, Passages.self, Questions.self, APIs.self])

    /// `retort world text`
    struct Text: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Pretraining documents, one JSON string a line.")
        @Option(help: "How many.") var documents: Int = 1000
        @Option(help: "The seed of the text.") var seed: UInt64 = 1

        func run() throws {
            for document in WorldText(seed: seed).prefix(documents) {
                print(String(decoding: try JSONCoding.encoder.encode(document), as: UTF8.self))
            }
        }
    }

    /// `retort world passages`
    struct Passages: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The encyclopedia, one article a line.")
        @Option(help: "How many people the world has.") var people: Int = 1000
        @Option(help: "The seed of the world.") var seed: UInt64 = 1

        func run() throws {
            for passage in World(seed: seed, people: people).passages {
                print(String(decoding: try JSONCoding.encoder.encode(passage), as: UTF8.self))
            }
        }
    }

    /// `retort world apis`
    struct APIs: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "apis", abstract: "Tasks for the world's JSON APIs, one a line, with the APIs they offer.")
        @Option(help: "How many people the world has.") var people: Int = 1000
        @Option(help: "The seed of the world.") var seed: UInt64 = 1
        @Option(help: "train, in or out.") var split: String = "out"
        @Option(help: "How many.") var count: Int = 10

        func run() throws {
            let tasks = try APITasks(World(seed: seed, people: people), seed: seed)
            for item in tasks.items(split, count: count) {
                print(String(decoding: try JSONCoding.encoder.encode(item.task), as: UTF8.self))
            }
        }
    }

    /// `retort world questions`
    struct Questions: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Questions and word problems, one task a line.")
        @Option(help: "How many people the world has.") var people: Int = 1000
        @Option(help: "The seed of the world.") var seed: UInt64 = 1
        @Option(help: "train, in or out.") var split: String = "out"
        @Option(help: "How many of each family.") var count: Int = 10

        func run() throws {
            let world = World(seed: seed, people: people)
            let tasks =
                FactualQuestions(world, seed: seed).items(split, count: count).map(\.task)
                + WordProblems(seed: seed).items(split, count: count).map(\.task)
            for task in tasks { print(String(decoding: try JSONCoding.encoder.encode(task), as: UTF8.self)) }
        }
    }
}
