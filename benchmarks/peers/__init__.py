"""What Wristlead is measured against, rebuilt from descriptions; nothing here is part of the product."""
