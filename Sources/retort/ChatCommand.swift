import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes
import RetortStore

/// `retort chat`
struct ChatCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat", abstract: "Talk to an agent: ask, stop it, go back and take another way.",
        discussion: """
            The agent is one of a run's or an agent's folder, or any model in a domain, as for 'retort ask'. Each \
            question is worked on in a fresh session, and its steps are shown as they come. Ctrl-C stops the work; \
            then, or after an answer:

              /back 2             back to before step 2, and another way from there
              /back 2 try 1916    the same, with something said first
              /go                 go on where it was stopped
              /save               keep it as a trajectory (retort studio talks shows it)
              /help, /quit

              retort chat runs/quickstart
              retort chat runs/hotel --system agent+sag
              retort chat runs/hotel --student 3m --beside-student 1m
              retort chat hotel --model models/Qwen2.5-0.5B-Instruct --beside runs/hotel
            """)

    @Argument(help: "An agent's folder, a run, or a domain.") var place: String
    @Option(help: "A second agent that is asked the same: its folder or run.") var beside: String?
    @Option(help: "The second agent's student; without --beside, of the same place.") var besideStudent: String?
    @Option(help: "The second agent's name, such as cot or agent+sag; without --beside, of the same place.")
    var besideSystem: String?
    @Option(help: "The folder whose store trajectories are saved in.") var talks = "talks"
    @Option(help: "Sample this many actions per step and let them vote; 1 disables voting.") var votes: Int?

    @OptionGroup var agent: AgentOptions
    @OptionGroup(title: "A model in a domain") var prompted: PromptedOptions

    func validate() throws {
        if let votes, !(1...64).contains(votes) { throw ValidationError("--votes must be 1 to 64") }
    }

    func run() async throws {
        var sides: [ChatSide] = []
        do {
            sides.append(try await side(agent, prompted, place))
            if beside != nil || besideStudent != nil || besideSystem != nil {
                var other = agent
                (other.student, other.system) = (besideStudent, besideSystem)
                sides.append(try await side(other, beside == nil ? prompted : PromptedOptions(), beside ?? place))
            }
            try await ChatSession(sides, talks: URL(fileURLWithPath: talks)).run()
        } catch {
            for side in sides { await side.close() }
            throw error
        }
        for side in sides { await side.close() }
    }

    private func side(_ options: AgentOptions, _ prompted: PromptedOptions, _ place: String) async throws -> ChatSide {
        var (opened, way) = try await options.open(URL(fileURLWithPath: place), prompted)
        if let votes { way.votes = votes }
        do {
            return ChatSide(agent: opened, talk: try AgentTalk(opened, way))
        } catch {
            await opened.close()
            throw error
        }
    }
}

/// One of the agents of a chat.
struct ChatSide {
    let agent: Agent
    let talk: AgentTalk

    func close() async {
        await talk.close()
        await agent.close()
    }
}
