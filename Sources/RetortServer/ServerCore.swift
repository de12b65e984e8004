import Foundation
import Hummingbird
import Logging
import RetortAgents
import RetortCore
import Synchronization

/// The state that all requests share.
final class ServerCore: Sendable {
    let catalogue: ModelCatalogue
    let options: ServerOptions
    let logger: Logger
    /// Further figures for `/metrics`.
    let gauges: @Sendable () -> [Gauge]
    let metrics = Metrics()
    let generations: Admission
    let agents: Admission
    let started = Date()
    let register = WorkRegister()
    private let draining = Atomic(false)

    init(
        _ catalogue: ModelCatalogue, _ options: ServerOptions, _ logger: Logger,
        gauges: @escaping @Sendable () -> [Gauge] = { [] }
    ) {
        self.catalogue = catalogue
        self.gauges = gauges
        self.options = options
        self.logger = logger
        let patience = Duration.seconds(options.waitSeconds)
        generations = Admission(running: options.maximumRunning, waiting: options.maximumWaiting, patience: patience)
        agents = Admission(running: options.maximumAgents, waiting: options.maximumWaiting, patience: patience)
    }

    /// Whether the server is about to stop.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Refuses new requests; those in progress go on for at most `drainSeconds`, then they are ended and their
    /// clients told.
    func drain() {
        draining.store(true, ordering: .relaxed)
        generations.close()
        agents.close()
        Task { [options, register, logger] in
            try await Task.sleep(for: .seconds(options.drainSeconds))
            let running = register.count
            guard running > 0 else { return }
            logger.warning("requests are cut short because the server has to stop", metadata: ["running": "\(running)"])
            register.close()
        }
    }

    /// The head of a new answer: its id, time and model.
    func head(_ prefix: String, model: String) -> AnswerHead {
        let number = UInt128.random(in: .min ... .max)
        return AnswerHead(
            id: "\(prefix)-\(String(number, radix: 36))", model: model, created: Int(Date().timeIntervalSince1970))
    }

    /// Answers in one piece, or as a stream once the first event is there: an error before that gets its own status.
    func answer<Form: Answer>(
        _ form: Form, _ events: EventCursor<Form.Event>, _ settings: GenerationSettings, _ context: ServerContext
    ) async throws -> Response {
        guard let first = try await events.next() else { throw APIError.server("the model ended without an answer") }
        context.notes.began()
        if settings.isStreamed {
            return EventStream(
                answer: form, first: first, events: events, includesUsage: settings.includesUsage, context: context,
                seconds: options.clientSeconds
            ).response
        }
        var form = form
        var next: Form.Event? = first
        while let event = next {
            try form.keep(event)
            next = try await events.next()
        }
        context.notes.spend(form.usage)
        return .json(try form.whole())
    }

    /// The events of requests that a model works on together; their choices are numbered consecutively.
    func generate(
        _ requests: [GenerationRequest], on model: any LanguageModel, _ context: ServerContext
    ) -> EventCursor<GenerationEvent> {
        let seconds = options.requestSeconds
        let samples = requests.map(\.samples).reduce(0, +)
        return context.events(register, limit: options.maximumBacklogBytes) { [generations] yield in
            let place = try await generations.enter(samples: samples)
            defer { withExtendedLifetime(place) {} }
            try await withTimeLimit(seconds: seconds, late: .timeout(seconds: seconds)) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (number, request) in requests.enumerated() {
                        group.addTask {
                            let first = number * request.samples
                            for try await event in model.stream(request) { try yield(event.moved(by: first)) }
                            // A stream whose reader is cancelled just ends, without an error.
                            try Task.checkCancellation()
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    /// The events of an agent's attempts at a question.
    func work(
        on task: AgentTask, attempts: Int, with rollout: Rollout, _ context: ServerContext
    ) -> EventCursor<AgentAnswer.Event> {
        let seconds = options.requestSeconds
        return context.events(register, limit: options.maximumBacklogBytes) { [agents] yield in
            let place = try await agents.enter()
            defer { withExtendedLifetime(place) {} }
            try await withTimeLimit(seconds: seconds, late: .timeout(seconds: seconds)) {
                for attempt in 0..<attempts {
                    for try await event in rollout.run(task, attempt: attempt) {
                        try yield(AgentAnswer.Event(attempt: attempt, event: event))
                    }
                    try Task.checkCancellation()
                }
            }
        }
    }
}

extension GenerationEvent {
    /// The same event for a later choice.
    fileprivate func moved(by count: Int) -> GenerationEvent {
        switch self {
        case .text(let sample, let text): .text(sample: sample + count, text)
        case .token(let sample, let token): .token(sample: sample + count, token)
        case .finished(let sample, let completion): .finished(sample: sample + count, completion)
        case .lost(let samples, let usage): .lost(samples: samples.map { $0 + count }, usage)
        }
    }
}
