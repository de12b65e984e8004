import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortLLM
import RetortRemote
import RetortStore

/// A teacher behind endpoints, or a checkpoint in this process: where it is, how it is asked, and what it may cost.
public struct TeacherPlan: Codable, Sendable, Hashable {
    /// What the trajectories depend on: after a change they are made again.
    public struct Asking: Codable, Sendable, Hashable {
        /// The model's name at the endpoints; nil is the only one they have.
        public var model: String?
        /// How much the system prompt says.
        public var instructions = Instructions.full
        /// Whether the first turn begins with the first thought of the teacher's chain of thought.
        public var firstThought = false
        /// The number of trajectories for each task.
        public var trajectories = 1
        /// The temperature of a task's first trajectory.
        public var temperature = 0.0
        /// The temperature of the other trajectories.
        public var laterTemperature = 0.7
        /// The share of probability that tokens are drawn from.
        public var topP = 1.0
        /// The most tokens of a turn.
        public var maximumTokens = 1024
        /// The most steps of a trajectory before the teacher is asked for its answer.
        public var maximumSteps = 5
    }

    /// What may be spent in all; nil for no limit.
    public struct Limit: Codable, Sendable, Hashable {
        /// Tokens read and written.
        public var tokens: Int?
        /// Money, in the currency of the prices.
        public var money: Double?
    }

    /// A cassette that replies go through.
    public struct Tape: Codable, Sendable, Hashable {
        /// The tape's file.
        public var file: String
        /// Whether it records or only replays.
        public var mode: Cassette.Mode
    }

    /// How a prompt reaches the server: as messages, or as text that Retort writes with the chat template.
    public enum Operation: String, Codable, Sendable, CaseIterable { case chat, completions }

    /// What the trajectories depend on.
    public var asking = Asking()
    /// The endpoints, which share the requests; empty with `folder` or a replayed tape.
    public var endpoints: [EndpointPlan]
    /// The folder of a checkpoint that answers in this process, instead of endpoints.
    public var folder: String?
    /// The precision of that checkpoint's weights; nil takes what is usual on the machine.
    public var weights: WeightPrecision?
    /// How a prompt reaches the server.
    public var operation = Operation.chat
    /// With completions: the folder of the checkpoint whose chat template the prompts are written with.
    public var template: String?
    /// How many trajectories are made at the same time.
    public var concurrency = 64
    /// How often a trajectory is tried when the model or the environment breaks.
    public var tries = 2
    /// How often a request is tried.
    public var attempts = 6
    /// The longest time to connect, in seconds.
    public var connectSeconds = 10.0
    /// The longest time to the first byte of a reply, in seconds.
    public var firstByteSeconds = 300.0
    /// The longest pause within a reply, in seconds.
    public var idleSeconds = 60.0
    /// The longest time for a whole reply, in seconds.
    public var totalSeconds = 900.0
    /// How long all endpoints may fail before the run stops, in seconds.
    public var patienceSeconds = 600.0
    /// The longest wait before a failed request's second attempt, in seconds; it doubles for each further one. Nil is
    /// 0.5.
    public var backoffSeconds: Double?
    /// Whether the server is asked for token ids; nil means yes.
    public var tokenIDs: Bool?
    /// Prices by the model's name.
    public var prices: [String: Price] = [:]
    /// What may be spent; nil for no limit.
    public var budget: Limit?
    /// The tape that replies go through; nil for none.
    public var cassette: Tape?

    /// A teacher behind endpoints with the usual settings.
    public init(endpoints: [EndpointPlan]) { self.endpoints = endpoints }

    /// Reads the recipe's `teacher`.
    init(_ reader: YAMLReader) {
        self = Self.access(reader)
        asking = Asking(reading: reader)
        operation = reader.choice("api", default: operation)
        template = reader.optionalString("template")
        tokenIDs = reader.has("tokenIDs") ? reader.flag("tokenIDs", default: true) : nil
        tries = reader.integer("tries", default: tries, in: 1...100)
        if folder != nil { Self.refuse(["api", "template", "tokenIDs"], reader) }
        readBudget(reader)
        if operation == .completions, template == nil, folder == nil {
            reader.refuse(
                "api", "'api: completions' needs 'template', the folder whose chat template writes the prompts")
        }
    }

    /// Reads the budget and the prices.
    mutating func readBudget(_ reader: YAMLReader) {
        prices = reader.table("prices") { price in
            for key in ["input", "output"] where !price.has(key) {
                price.refuse(key, "a price needs '\(key)', in money for a million tokens")
            }
            return Price(input: price.number("input", default: 0), output: price.number("output", default: 0))
        }
        budget = reader.mapping("budget") { budget in
            Limit(
                tokens: budget.has("tokens") ? budget.integer("tokens", default: 0, in: 1...Int.max) : nil,
                money: budget.has("money") ? budget.number("money", default: 0) : nil)
        }
        if budget?.money != nil, let model = asking.model, prices[model] == nil {
            reader.refuse("budget", "\(BudgetError.unknownPrice(model: model))")
        }
    }

    /// Reads where a model is and how it is reached: the keys that a teacher and a judge share.
    static func access(_ reader: YAMLReader) -> TeacherPlan {
        var plan = TeacherPlan(
            endpoints: reader.oneOrMore("endpoint", text: EndpointPlan.init(url:), mapping: EndpointPlan.init(reading:))
        )
        plan.folder = reader.optionalString("folder")
        plan.weights = reader.choice("weights")
        if plan.folder != nil {
            refuse(["endpoint", "key", "keyFile", "attempts", "seconds"], reader)
        } else if plan.weights != nil {
            reader.refuse("weights", "'weights' is for a checkpoint in this process; name its 'folder'")
        }
        plan.asking.model = reader.optionalString("model")
        if let key = reader.optionalString("key") {
            for index in plan.endpoints.indices { plan.endpoints[index].key = plan.endpoints[index].key ?? key }
        }
        if let file = reader.optionalString("keyFile") {
            for index in plan.endpoints.indices where plan.endpoints[index].key == nil {
                plan.endpoints[index].keyFile = plan.endpoints[index].keyFile ?? file
            }
        }
        plan.concurrency = reader.integer("concurrency", default: plan.concurrency, in: 1...4096)
        plan.attempts = reader.integer("attempts", default: plan.attempts, in: 1...1000)
        reader.mapping("seconds") { plan.readTimes($0) }
        plan.cassette = reader.mapping("cassette") { tape in
            Tape(file: tape.string("file"), mode: tape.choice("mode", default: .record))
        }
        plan.refuseContradictions(reader)
        return plan
    }

    /// Refuses keys for endpoints where a checkpoint answers.
    private static func refuse(_ keys: [String], _ reader: YAMLReader) {
        for key in keys where reader.has(key) {
            reader.refuse(
                key, "'\(key)' is for endpoints, and 'folder' names a checkpoint that answers in this process")
        }
    }

    private mutating func readTimes(_ seconds: YAMLReader) {
        connectSeconds = seconds.number("connect", default: connectSeconds)
        firstByteSeconds = seconds.number("firstByte", default: firstByteSeconds)
        idleSeconds = seconds.number("idle", default: idleSeconds)
        totalSeconds = seconds.number("total", default: totalSeconds)
        patienceSeconds = seconds.number("patience", default: patienceSeconds)
        backoffSeconds = seconds.has("backoff") ? seconds.number("backoff", default: 0.5, in: 0...3600) : nil
    }

    private func refuseContradictions(_ reader: YAMLReader) {
        if endpoints.isEmpty, folder == nil, cassette?.mode != .replay {
            reader.refuse(
                "endpoint",
                "this needs an 'endpoint', such as http://127.0.0.1:8000/v1, or the 'folder' of a checkpoint")
        }
        for place in endpoints {
            do {
                _ = try Endpoint(place.url, model: "")
            } catch {
                reader.refuse("endpoint", "\(error)")
            }
        }
        if cassette?.mode == .replay, asking.model == nil, folder == nil {
            reader.refuse("cassette", "a replayed cassette needs 'model', for no endpoint is asked which it is")
        }
    }
}

extension TeacherPlan.Asking {
    init(reading reader: YAMLReader) {
        self.init()
        model = reader.optionalString("model")
        instructions = reader.choice("instructions", default: instructions)
        firstThought = reader.flag("firstThought", default: firstThought)
        trajectories = reader.integer("trajectories", default: trajectories, in: 1...1000)
        temperature = reader.number("temperature", default: temperature, in: 0...5)
        laterTemperature = reader.number("laterTemperature", default: max(temperature, laterTemperature), in: 0...5)
        topP = reader.number("topP", default: topP, in: 0.01...1)
        maximumTokens = reader.integer("maxTokens", default: maximumTokens, in: 1...1_000_000)
        maximumSteps = reader.integer("maxSteps", default: maximumSteps, in: 1...100)
    }
}
